"""Verbs of our own bank for random histories: files made, fetched, withdrawn, and what the bank says of them."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from config import seam
from ledger.ids import public_id
from ledger.models import Side, TransactionKind
from payments import bank_accounts, bank_files, bank_payouts, own_bank_accounts
from payments.bank_payouts import BankFact
from payments.errors import Conflict, InvalidState
from payments.models import BankFile, OwnBankAccount, Payout, PspAccount
from payments.own_bank_accounts import OwnDetails
from payments.sepa import as_id
from tests.journeys.draws import pick, picks
from tests.journeys.played_market import MAKER, PlayedMarket
from wallet import chart, movements
from wallet.movements import Movement

OUR_IBAN: Final = "DE02120300000000202051"
CHECKER: Final = "user:checker"
SAYINGS: Final = {"booked": "has paid", "returned": "got back", "rejected": "refuses"}


class BankVerbs(PlayedMarket, RuleBasedStateMachine):
    """What a merchant, its bank and the banks of its sellers do about files of transfers."""

    @property
    def our_account(self) -> OwnBankAccount:
        """Return the account that pays; the first call sets it down."""
        details = OwnDetails("main", "EUR", bank_accounts.iban(OUR_IBAN, "Market & Söhne GmbH"), "BYLADEM1001")
        return own_bank_accounts.put(self.shop.tenant.book.pk, details, now=seam.now())

    @rule(bank=st.booleans(), amount=st.sampled_from([0, 500, 100_000]))
    def change_way(self, bank: bool, amount: int) -> None:
        """Let payouts leave through the bank from now on, or through the PSP; and perhaps bring the bank money."""
        account = self.our_account
        mode = PspAccount.PayoutMode.BANK if bank else PspAccount.PayoutMode.PSP
        PspAccount.objects.filter(book=self.shop.tenant.book).update(payout_mode=mode)
        if amount:
            now, book = seam.now(), self.shop.tenant.book.pk
            lines = (
                (Side.DEBIT, chart.bank(book, account.name, "EUR"), amount),
                (Side.CREDIT, chart.bank(book, "in_transit", "EUR"), amount),
            )
            reference = f"bank_credit:{seam.new_uuid()}"
            with transaction.atomic():
                movements.record([Movement(TransactionKind.BANK_CREDIT, reference, lines, now, "tests")], now=now)
        self.say(f"Sellers are paid through the {'bank' if bank else 'PSP'}; the bank has {amount} EUR more.")

    @precondition(lambda self: any(row.status == Payout.Status.PENDING for row in self.at_the_bank()))
    @rule(fetch=st.booleans())
    def make_file(self, fetch: bool) -> None:
        """Make a file of what waits, and perhaps take it to the bank at once."""
        file = bank_files.make(self.our_account.pk, actor=MAKER, now=seam.now())
        self.say(f"A file of {file.count} payouts over {file.total_minor} is made." if file else "No file is made.")
        if file is not None and fetch:
            self._with_file(file, "fetched")

    @precondition(lambda self: self.files())
    @rule(number=picks, what=st.sampled_from(["fetched", "fetched", "approved", "withdrawn"]))
    def answer_file(self, number: int, what: str) -> None:
        """Fetch a file, agree to it, or withdraw it."""
        self._with_file(pick(self.files(), number), what)

    def _with_file(self, file: BankFile, what: str) -> None:
        verbs = {"fetched": bank_files.hand_out, "approved": bank_files.approve, "withdrawn": bank_files.withdraw}
        before = self.shop.journals()
        try:
            verbs[what](file.pk, actor=CHECKER if what == "approved" else MAKER, now=seam.now())
        except (InvalidState, Conflict) as refused:
            assert self.shop.journals() == before
            what = f"not {what}: {refused}"
        self.say(f"The file over {file.total_minor} is {what}.")

    @precondition(lambda self: self.at_the_bank())
    @rule(number=picks, what=st.sampled_from(list(SAYINGS)), off=st.sampled_from([0, 0, 0, 1]), times=st.integers(1, 2))
    def our_bank_says(self, number: int, what: str, off: int, times: int) -> None:
        """Let our bank say something of a payout, perhaps twice, perhaps of another amount."""
        row = pick(self.at_the_bank(), number)
        said = [str(self._tell(row, what, off)) for _ in range(times)]
        self.say(f"Our bank {SAYINGS[what]} a payout of {row.amount_minor + off} ({row.status}): {', '.join(said)}.")

    def finish(self) -> None:
        """Let the bank execute what it was given; then everything ends as ever."""
        for row in self.at_the_bank():
            if row.status == Payout.Status.SENT:
                self._tell(row, "booked", 0)
        super().finish()

    def files(self) -> list[BankFile]:
        """Return the files that were made, oldest first."""
        return list(BankFile.objects.order_by("pk"))

    def at_the_bank(self) -> list[Payout]:
        """Return the payouts that leave through the bank, oldest first."""
        return list(Payout.objects.filter(bank_account__isnull=False).order_by("pk"))

    def _tell(self, row: Payout, what: str, off: int) -> bank_payouts.Outcome:
        fact = BankFact(
            as_id(public_id("pyo", row.public_id)),
            row.amount_minor + off,
            "EUR",
            seam.now().date(),
            f"B-{row.pk}",
            "AC04",
        )
        (answer,) = getattr(bank_payouts, what)(self.shop.tenant.book.pk, [fact], actor="tests", now=seam.now())
        outcome: bank_payouts.Outcome = answer.outcome
        return outcome
