"""Terms of a merchant's book in the back office, and what its sellers owe, by age."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from config import seam
from ledger.admin.reading import Link, ReadOnlyAdmin, Table
from ledger.admin.showing import api_id, link, money, right
from ledger.ids import parse_public_id
from payments.models import MerchantBook, Seller
from wallet import debt_ages
from wallet.debt_ages import AGES, Debt

AGE_HEADINGS = (
    f"0 to {AGES[0]} days",
    *(f"{a + 1} to {b}" for a, b in pairwise(AGES)),
    f"over {AGES[-1]}",
)


@admin.register(MerchantBook)
class MerchantBookAdmin(ReadOnlyAdmin):
    """What a merchant agreed to for one of its books."""

    list_display = ("merchant", "book", "mode", "releases", "refund_fee_policy", "approvals")
    list_display_links = ("merchant", "book")
    select = ("book", "merchant", "fee_plan", "default_psp_account")
    fieldsets = (
        (None, {"fields": ("merchant", "book", "mode", "fee_plan", "default_psp_account")}),
        (
            "Releases",
            {
                "fields": (
                    "release_days_after_delivery", "release_days_after_capture", "capture_days_are_business_days",
                    "business_calendar", "time_zone",
                )
            },
        ),
        (
            "Money back and out",
            {"fields": ("refund_fee_policy", "approvals", "fx_margin_basis_points", "stored_value")},
        ),
    )  # fmt: skip
    search_help_text = "mer_… or the code of a book"

    def find(self, term: str) -> Q:
        """Find the terms of a merchant or of a book."""
        value = parse_public_id("mer", term)
        return Q(merchant__public_id=value) if value is not None else Q(book__code=term)

    def heading(self, obj: MerchantBook) -> str:
        """Return the title of a page of terms."""
        return f"Terms of {obj.merchant.name} ({obj.book.mode})"

    def get_urls(self) -> list[URLPattern]:
        """Add the debts of the book's sellers."""
        view = self.admin_site.admin_view(self.debts_view)
        return [path("<path:object_id>/debts/", view, name="payments_merchantbook_debts"), *super().get_urls()]

    def links(self, _request: HttpRequest, obj: MerchantBook) -> Iterable[Link]:
        """Lead to what its sellers owe, and to what is held back of them."""
        yield Link("Debts of sellers", reverse("admin:payments_merchantbook_debts", args=[obj.pk]), "money_off")
        reserves = reverse("admin:payments_reservehold_changelist")
        yield Link("Reserves", f"{reserves}?book={obj.pk}", "savings")

    @admin.display(description="Mode")
    def mode(self, row: MerchantBook) -> str:
        """Show the mode of the book."""
        return row.book.mode

    @admin.display(description="Released")
    def releases(self, row: MerchantBook) -> str:
        """Show when shares become available."""
        after = (("delivery", row.release_days_after_delivery), ("capture", row.release_days_after_capture))
        return ", ".join(f"{days} days after {what}" for what, days in after if days is not None) or "never by itself"

    @admin.display(description="Payouts above need approval")
    def approvals(self, row: MerchantBook) -> SafeString | str:
        """Show above which amounts a payout needs a second person."""
        shown = [money(int(minor), currency) for currency, minor in sorted(row.payout_approval_above.items())]
        return SafeString(" ".join(shown)) if shown else "none"

    def tables(self, _request: HttpRequest, obj: MerchantBook) -> Iterable[Table]:
        """Show whose releases are held back in part."""
        # Uses index: the foreign key of payments_seller.
        rows = Seller.objects.filter(book_id=obj.pk, reserve_basis_points__gt=0).order_by("-pk")[: Table.LIMIT]
        yield Table(
            "Sellers with a rolling reserve",
            ("Seller", "Held back", "For"),
            [
                (link(row, row.name), f"{row.reserve_basis_points / 100:.2f} %", f"{row.reserve_days} days")
                for row in rows
            ],
        )

    def debts_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the sellers of a book owe, by how long they have owed it."""
        obj: MerchantBook = self.viewable(request, object_id)
        found = debt_ages.of_book(obj.pk, now=seam.now())
        context = {
            "title": f"Debts of sellers of {obj.merchant.name} ({obj.book.mode})",
            "tables": [_sums(found), table(found, _names(obj.pk, found))],
            "hint": f"Largest first, at most {debt_ages.AT_MOST}. What a seller pays back pays the oldest debt first.",
        }
        return self.page(request, obj, "admin/tables_page.html", context)


def table(found: Iterable[Debt], sellers: dict[object, Seller]) -> Table:
    """Show debts with their ages; `sellers` by public id."""
    return Table(
        "Debts by age",
        ("Seller", right("Owes"), *map(right, AGE_HEADINGS), "Since"),
        [
            (
                link(
                    sellers.get(one.seller),
                    sellers[one.seller].name if one.seller in sellers else api_id("sel", one.seller),
                ),
                money(one.amount, one.currency),
                *(money(part, one.currency) for part in one.by_age),
                one.oldest_at,
            )
            for one in found
        ],
    )


def _names(book_id: int, found: Iterable[Debt]) -> dict[object, Seller]:
    rows = Seller.objects.filter(book_id=book_id, public_id__in={one.seller for one in found})
    return {row.public_id: row for row in rows}


def _sums(found: Iterable[Debt]) -> Table:
    sums: dict[str, list[int]] = {}
    for one in found:
        total = sums.setdefault(one.currency, [0] * (len(AGES) + 2))
        for place, part in enumerate((one.amount, *one.by_age)):
            total[place] += part
    return Table(
        "Sums",
        ("Currency", right("Owed"), *map(right, AGE_HEADINGS)),
        [(currency, *(money(part, currency) for part in parts)) for currency, parts in sorted(sums.items())],
    )
