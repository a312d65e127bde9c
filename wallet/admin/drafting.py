"""The forms in which somebody proposes a journal, or the close of a year: they read and say what is wrong where."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django import forms
from django.forms.utils import ErrorList
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ledger.admin.filters import MAX_BOOKS
from ledger.errors import MoneyError
from ledger.models import Account, Book, Side
from ledger.money import EXPONENTS, Money
from wallet import withdrawals
from wallet.errors import Fault
from wallet.legs import DraftLeg
from wallet.models import Proposal
from wallet.proposals import MAX_REFERENCE, MAX_TEXT, Draft

ROWS: Final = 10
_KINDS: Final = [(str(kind), kind.label) for kind in (Proposal.Kind.ADJUST, Proposal.Kind.WRITE_OFF)]
_SIDES: Final = [("", ""), *((str(side), side.label) for side in Side)]


class BookForm(forms.Form):
    """Whose books. Of many only the newest are offered."""

    book = forms.ModelChoiceField(Book.objects.none(), empty_label=None, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["book"]
        assert isinstance(field, forms.ModelChoiceField)
        newest = Book.objects.order_by("-pk").values("pk")[:MAX_BOOKS]
        field.queryset = Book.objects.filter(pk__in=list(newest.values_list("pk", flat=True))).order_by("-pk")


class JournalForm(BookForm):
    """What a manual journal says beside its legs."""

    kind = forms.ChoiceField(choices=_KINDS, widget=UnfoldAdminSelectWidget)
    reference = forms.CharField(max_length=MAX_REFERENCE, widget=UnfoldAdminTextInputWidget)
    memo = forms.CharField(max_length=MAX_TEXT, label="Why", widget=UnfoldAdminTextInputWidget)
    effective_at = forms.DateTimeField(
        required=False,
        label="Effective (UTC)",
        help_text="For example 2026-10-31 23:00. Empty: when it is approved.",
        widget=UnfoldAdminTextInputWidget,
    )


class LegForm(forms.Form):
    """One side of a manual journal; a row that is empty is left out."""

    account = forms.CharField(max_length=128, required=False, widget=UnfoldAdminTextInputWidget)
    side = forms.ChoiceField(choices=_SIDES, required=False, widget=UnfoldAdminSelectWidget)
    amount = forms.CharField(max_length=20, required=False, widget=UnfoldAdminTextInputWidget)

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was filled in."""
        return not any(self.cleaned_data.get(name) for name in self.fields)


LEGS: Final = forms.formset_factory(LegForm, extra=ROWS, max_num=ROWS, absolute_max=ROWS)


class WithdrawalForm(BookForm):
    """How much of the platform's fees leaves which bank account."""

    amount = forms.CharField(
        max_length=20, required=False, help_text="Empty: everything.", widget=UnfoldAdminTextInputWidget
    )
    currency = forms.ChoiceField(choices=[(code, code) for code in sorted(EXPONENTS)], widget=UnfoldAdminSelectWidget)
    bank = forms.RegexField(
        r"^[a-z0-9][a-z0-9_-]*$",
        max_length=32,
        label="Bank account",
        help_text="Its name in the books, for example main.",
        widget=UnfoldAdminTextInputWidget,
    )
    reference = forms.CharField(max_length=MAX_REFERENCE, widget=UnfoldAdminTextInputWidget)
    memo = forms.CharField(max_length=MAX_TEXT, label="Why", widget=UnfoldAdminTextInputWidget)

    def drafted(self, *, maker: str, now: datetime) -> Draft | None:
        """Return the draft that was filled in, or `None` when the form says what is wrong. Raises `LedgerError`."""
        if not self.is_valid():
            return None
        given = self.cleaned_data
        try:
            amount = Money.parse(given["amount"], given["currency"]).minor if given["amount"] else None
        except MoneyError as error:
            self.add_error("amount", str(error))
            return None
        return withdrawals.fee_withdrawal(
            given["book"].pk,
            currency=given["currency"],
            amount=amount,
            bank=given["bank"],
            reference=given["reference"],
            memo=given["memo"],
            maker=maker,
            now=now,
        )


class YearForm(BookForm):
    """Which year of which book."""

    year = forms.IntegerField(min_value=2000, max_value=2999, widget=UnfoldAdminTextInputWidget)


def draft_of(head: JournalForm, legs: forms.BaseFormSet[LegForm], *, maker: str) -> Draft | None:
    """Return the draft that was filled in, or `None` when the forms now say what is wrong."""
    if not (head.is_valid() and legs.is_valid()):
        return None
    book: Book = head.cleaned_data["book"]
    rows = _filled(legs)
    currencies = dict(
        Account.objects.filter(book=book, code__in=[row.cleaned_data["account"] for row in rows]).values_list(
            "code", "currency_id"
        )
    )
    made = [_leg(row, currencies) for row in rows]
    if None in made:
        return None
    return Draft(
        book_id=book.pk,
        kind=Proposal.Kind(head.cleaned_data["kind"]),
        reference=head.cleaned_data["reference"],
        legs=tuple(leg for leg in made if leg is not None),
        memo=head.cleaned_data["memo"],
        maker=maker,
        effective_at=head.cleaned_data["effective_at"],
    )


def show_faults(head: JournalForm, legs: forms.BaseFormSet[LegForm], faults: Sequence[Fault]) -> None:
    """Say at each field what is wrong with it."""
    rows = _filled(legs)
    for fault in faults:
        place, _, name = fault.field.partition("].")
        if name:
            row = rows[int(place.removeprefix("legs["))]
            row.errors.setdefault(name if name in row.fields else "account", ErrorList()).append(fault.detail)
        else:
            head.add_error(fault.field if fault.field in head.fields else None, fault.detail)


def _filled(legs: forms.BaseFormSet[LegForm]) -> list[LegForm]:
    return [row for row in legs.forms if not row.is_empty]


def _leg(row: LegForm, currencies: dict[str, str]) -> DraftLeg | None:
    """Return a leg in minor units, or `None` when its row now says what is wrong. The account knows the currency."""
    code, side = row.cleaned_data["account"], row.cleaned_data["side"]
    currency = currencies.get(code) or code.rpartition(":")[2]
    if not side:
        row.add_error("side", "Debit or credit?")
        return None
    try:
        amount = Money.parse(row.cleaned_data["amount"], currency)
    except MoneyError as error:
        row.add_error("amount" if currency in currencies.values() else "account", str(error))
        return None
    return DraftLeg(code, Side(side), amount.minor, currency)
