"""The first page of the back office, its menu, and the search over everything.

The first page answers one question: does anything need a person? Each of its lists is read through a partial
index on rows that should not exist, and is cut at `LIMIT`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from config import seam
from ledger import checking, folding
from ledger.admin.reading import Table
from ledger.admin.showing import api_id, code, link, money
from ledger.models import Account, Book, CheckRun, Entry, Period, Transaction
from payments import queues
from payments.admin import rows as operation_rows
from payments.admin import waiting
from payments.admin.finding import payments_named
from payments.models import (
    BankFile,
    Charge,
    Dispute,
    FoundRefund,
    Merchant,
    MerchantBook,
    OutboxMessage,
    OwnBankAccount,
    PaymentEvent,
    PaymentOrder,
    Payout,
    PayoutStop,
    PspAccount,
    PspNotification,
    PspOperation,
    Refund,
    ReserveHold,
    Run,
    Seller,
    Transition,
)
from wallet.models import Proposal, Wallet

LIMIT = 20
UNKNOWN_FOR = timedelta(minutes=5)
STOPPED = "Payouts are stopped: a sum in the books is wrong"

_MENU: tuple[tuple[str, tuple[tuple[str, str, type[Model]], ...]], ...] = (
    (
        "Payments",
        (
            ("Payments", "shopping_cart", PaymentEvent),
            ("Orders", "list_alt", PaymentOrder),
            ("Charges", "credit_card", Charge),
            ("Refunds", "undo", Refund),
            ("Payouts", "outbound", Payout),
            ("Bank files", "request_quote", BankFile),
            ("Refunds found at PSPs", "travel_explore", FoundRefund),
            ("Disputes", "gavel", Dispute),
            ("Payouts", "send_money", Payout),
        ),
    ),
    (
        "Work",
        (
            ("Operations", "sync_alt", PspOperation),
            ("Notifications", "notifications", PspNotification),
            ("Outbox", "campaign", OutboxMessage),
            ("Transitions", "history", Transition),
            ("Daily runs", "event_repeat", Run),
        ),
    ),
    (
        "Parties",
        (
            ("Merchants", "storefront", Merchant),
            ("Sellers", "groups", Seller),
            ("PSP accounts", "key", PspAccount),
            ("Bank accounts", "account_balance", OwnBankAccount),
            ("Wallets", "account_balance_wallet", Wallet),
            ("Terms", "handshake", MerchantBook),
            ("Reserves", "savings", ReserveHold),
        ),
    ),
    (
        "Books",
        (
            ("Books", "menu_book", Book),
            ("Accounts", "account_tree", Account),
            ("Transactions", "receipt_long", Transaction),
            ("Entries", "format_list_numbered", Entry),
            ("Proposals", "how_to_reg", Proposal),
            ("Periods", "lock_clock", Period),
            ("Checks", "fact_check", CheckRun),
            ("Payout stops", "block", PayoutStop),
        ),
    ),
)


_Group = tuple[str, tuple[tuple[str, str, type[Model]], ...]]
# What the apps above add: groups of the menu, and tables of what needs a person with the right to see them.
_more: list[_Group] = []
_needed: list[tuple[str, Callable[[], Table]]] = []


def add_group(title: str, entries: tuple[tuple[str, str, type[Model]], ...]) -> None:
    """Add a group to the menu: title, icon and model of each entry. Once, when the pages are found."""
    _more.append((title, entries))


def add_needed(right: str, table: Callable[[], Table]) -> None:
    """Add a table of what needs a person, for those who have a right. Once, when the pages are found."""
    _needed.append((right, table))


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the side menu: only what the user may see."""
    people = [
        _item(request, "Users", "person", "auth", "user"),
        _item(request, "Audit trail", "policy", "admin", "logentry"),
    ]
    groups: list[dict[str, Any]] = [{"items": [{"title": "Overview", "icon": "home", "link": reverse("admin:index")}]}]
    for title, entries in (*_MENU, *_more):
        items = [_item(request, *entry[:2], *_names(entry[2])) for entry in entries]
        groups.append({"title": title, "separator": True, "items": [item for item in items if item]})
    groups.append({"title": "Staff", "separator": True, "items": [item for item in people if item]})
    return groups


def _names(model: type[Model]) -> tuple[str, str]:
    return model._meta.app_label, str(model._meta.model_name)


def _item(request: HttpRequest, title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    if not request.user.has_perm(f"{app}.view_{model}"):
        return {}
    return {"title": title, "icon": icon, "link": reverse(f"admin:{app}_{model}_changelist")}


def frame(_request: HttpRequest) -> dict[str, Any]:
    """Take the theme's colours out of every page: they are in `office.css`, as the page's policy wants."""
    return {"colors": None}


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the first page shows: what needs a person, if the user may see it."""
    tables, after = [], []
    if request.user.has_perm("payments.view_payoutstop"):
        tables.append(_payout_stops())
    if request.user.has_perm("payments.view_run"):
        tables += [_dead_runs(), waiting.late_runs()]
    if request.user.has_perm("ledger.view_checkrun"):
        after.append(_verified())
    if request.user.has_perm("payments.view_pspoperation"):
        tables += [_dead_operations(), _unknown_outcomes()]
    if request.user.has_perm("payments.view_refund"):
        tables.append(_refunds_to_decide())
    if request.user.has_perm("payments.view_foundrefund"):
        tables.append(_found_refunds())
    if request.user.has_perm("payments.view_dispute"):
        tables += [waiting.disputes_to_answer(), waiting.disputes_not_booked()]
    if request.user.has_perm("payments.view_payout"):
        tables.append(waiting.payouts_to_approve())
    if request.user.has_perm("payments.view_pspnotification"):
        tables.append(_dead_notifications())
    if request.user.has_perm("wallet.view_proposal"):
        tables.append(_proposals())
    tables += [table() for right, table in _needed if request.user.has_perm(right)]
    context["needed"] = [table for table in tables if table.rows]
    context["looked"] = bool(tables)
    context["stopped"] = any(table.title == STOPPED for table in context["needed"])
    context["tables"] = [*context["needed"], _lags(), _tail(), *after] if tables else []
    context["title"] = "Overview"
    return context


def _lags() -> Table:
    return Table(
        "Work that is due",
        ("Queue", "Rows due", "Oldest waits for"),
        [(lag.queue, lag.due, f"{lag.oldest_seconds:,.0f} s" if lag.due else "-") for lag in queues.lags()],
    )


def _tail() -> Table:
    tail, mark = folding.tail(), folding.folded_at()
    return Table(
        "Postings on hot accounts that are not folded into their balances yet",
        ("Transactions", "Oldest", "Folded last"),
        [(tail.transactions, tail.oldest or "-", mark or "-")],
    )


# Uses index: proposal_awaiting.
def _proposals() -> Table:
    rows = Proposal.objects.filter(state=Proposal.State.AWAITING_APPROVAL).select_related("book").order_by("made_at")
    return Table(
        "Journals that somebody else has to approve",
        ("Proposal", "Kind", "Book", "Why", "By", "Since"),
        [
            (
                link(row, api_id("prp", row.public_id)),
                row.kind.replace("_", " "),
                row.book.code,
                row.memo,
                row.maker,
                row.made_at,
            )
            for row in rows[:LIMIT]
        ],
    )


def _verified() -> Table:
    mark = checking.watermark()
    full = CheckRun.objects.filter(kind=CheckRun.Kind.FULL).defer("findings").order_by("-pk").first()
    return Table(
        "The books are verified",
        ("Through entry", "At", "Transactions that wait", "Last full check", "At", "Violations"),
        [
            (
                mark.entry_id,
                mark.checked_at or "-",
                mark.unverified,
                link(full, code(str(full.pk)) if full else ""),
                full.finished_at if full else "-",
                full.violations if full else "-",
            )
        ],
    )


# Uses index: one_open_payout_stop_per_book.
def _payout_stops() -> Table:
    rows = PayoutStop.objects.filter(lifted_at__isnull=True).select_related("book").order_by("pk")
    return Table(
        STOPPED,
        ("Stop", "Book", "Reason", "What was found", "Since"),
        [
            (
                link(row, code(str(row.pk))),
                link(row.book, code(row.book.code)),
                row.reason.replace("_", " "),
                row.detail,
                row.since,
            )
            for row in rows[:LIMIT]
        ],
    )


# Uses index: run_dead.
def _dead_runs() -> Table:
    rows = Run.objects.filter(dead_at__isnull=False).select_related("book").defer("result").order_by("-pk")
    return Table(
        "Daily runs that were given up",
        ("Run", "Period", "Book", "Tries", "Error", "Since"),
        [
            (
                link(row, code(row.kind)),
                row.period,
                link(row.book, code(row.book.code if row.book else "")),
                row.tries,
                row.error,
                row.dead_at,
            )
            for row in rows[:LIMIT]
        ],
    )


# Uses index: operation_dead.
def _dead_operations() -> Table:
    rows = PspOperation.objects.filter(dead_at__isnull=False).select_related("event", "payout").order_by("-pk")
    return Table(
        "Operations that were given up: a person decides",
        ("Operation", "Of", "Kind", "Tries", "Error", "Since"),
        [
            (
                link(row, api_id("opr", row.public_id)),
                operation_rows.subject(row),
                row.kind.replace("_", " "),
                row.tries,
                row.error_code,
                row.dead_at,
            )
            for row in rows[:LIMIT]
        ],
    )


# Uses index: operation_due (an unknown outcome is always due again).
def _unknown_outcomes() -> Table:
    rows = (
        PspOperation.objects.filter(
            due_at__isnull=False,
            state=PspOperation.State.UNKNOWN,
            first_sent_at__lt=seam.now() - UNKNOWN_FOR,
        )
        .exclude(error_code="")
        .select_related("event", "payout")
        .order_by("first_sent_at")
    )
    return Table(
        "Outcomes that are unknown for more than five minutes: being asked about",
        ("Operation", "Of", "Kind", "Tries", "Error", "Sent", "Next try"),
        [
            (
                link(row, api_id("opr", row.public_id)),
                operation_rows.subject(row),
                row.kind.replace("_", " "),
                row.tries,
                row.error_code,
                row.first_sent_at,
                row.due_at,
            )
            for row in rows[:LIMIT]
        ],
    )


# Uses index: refund_needs_a_person.
def _refunds_to_decide() -> Table:
    rows = Refund.objects.filter(attention_at__isnull=False).select_related("charge__event").order_by("attention_at")
    return Table(
        "Refunds that did not arrive: the money is still the buyer's, a person decides",
        ("Refund", "Payment", "Amount", "Status", "Why", "Since"),
        [
            (
                link(row, api_id("rfd", row.public_id)),
                link(row.charge.event, row.charge.event.checkout_id),
                money(row.amount_minor, row.currency_id),
                row.status,
                (row.failure or {}).get("code", ""),
                row.attention_at,
            )
            for row in rows[:LIMIT]
        ],
    )


# Uses index: found_refund_needs_a_person.
def _found_refunds() -> Table:
    rows = FoundRefund.objects.filter(decided_at__isnull=True).exclude(psp_status__in=["failed", "cancelled"])
    return Table(
        "Refunds made at the PSP that nobody asked us for: a person books them",
        ("Refund", "Payment", "Amount", "At the PSP", "Since"),
        [
            (
                link(row, code(row.psp_id)),
                link(row.charge.event, row.charge.event.checkout_id),
                money(row.amount_minor, row.currency_id),
                row.psp_status,
                row.found_at,
            )
            for row in rows.select_related("charge__event").order_by("pk")[:LIMIT]
        ],
    )


# Uses index: notification_dead.
def _dead_notifications() -> Table:
    rows = PspNotification.objects.filter(dead_at__isnull=False).defer("payload").order_by("-pk")
    return Table(
        "Notifications that were given up",
        ("Notification", "Type", "About", "Tries", "Since"),
        [
            (link(row, code(row.psp_event_id)), row.type, code(row.object_psp_id), row.tries, row.dead_at)
            for row in rows[:LIMIT]
        ],
    )


def search(request: HttpRequest, _term: str) -> list[SearchResult]:
    """Find payments by any identifier. The term is read from the request, so that ids keep their case."""
    term = request.GET.get("s", "").strip()[:255]
    if not term or not request.user.has_perm("payments.view_paymentevent"):
        return []
    found = PaymentEvent.objects.filter(pk__in=payments_named(term)).only("checkout_id", "status")
    return [
        SearchResult(
            title=row.checkout_id,
            description=f"Payment, {row.status.replace('_', ' ')}",
            link=reverse("admin:payments_paymentevent_change", args=[row.pk]),
            icon="shopping_cart",
        )
        for row in found.order_by("-pk")[:LIMIT]
    ]
