"""The PSP of a history, in this process: Florin speaks to it through its adapter's contract; it has books of its own.

What it answers and what it has in its books differ only where a story's fate says so. It knows nothing of Florin's
tables. Ids are made from the names of the stories, so that a manifest can name them before anything was played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from benchmarks.reconciliation.history import days
from benchmarks.reconciliation.history.outside import Kind, PspLine
from benchmarks.reconciliation.history.stories import Fate, PayoutFault, Sale
from payments.psp.base import (
    CallContext,
    CallError,
    ConfirmRequest,
    DisputeFacts,
    DisputeStage,
    ErrorCode,
    EvidenceRequest,
    Failure,
    HostedRequest,
    MethodDetails,
    ObjectKind,
    ObjectStatus,
    Outcome,
    PayeeRequest,
    RegisterRequest,
    Result,
    Snapshot,
)

_CARD: Final = MethodDetails("card", "credit", "visa", "4242")
BASIS_POINTS: Final = (150, 90)
FIXED: Final = {"EUR": 25, "USD": 30, "JPY": 30, "KWD": 100}
AVAILABLE_AFTER: Final = 2
# A payout that somebody asked for by hand takes lines along without naming them.
MANUAL: Final = "by hand"
# What one unit of a currency is worth in another when the PSP settles it there, in millionths; not Florin's rate.
_RATES: Final = {("EUR", "USD"): 1_083_100, ("USD", "EUR"): 921_400}


@dataclass(slots=True)
class Payment:
    """A payment object."""

    psp_id: str
    charge: str
    checkout: str
    currency: str
    amount: int
    capture_later: bool
    operation: str
    status: ObjectStatus = ObjectStatus.OPEN
    captured: int = 0
    refunded: int = 0
    sale: Sale | None = None


@dataclass(slots=True)
class Refund:
    """A refund object."""

    psp_id: str
    payment: Payment
    amount: int
    operation: str
    status: ObjectStatus = ObjectStatus.SUCCEEDED


@dataclass(slots=True)
class Dispute:
    """A dispute object."""

    psp_id: str
    payment: Payment
    amount: int
    cost: int
    created_at: datetime
    stage: DisputeStage = DisputeStage.NEEDS_RESPONSE
    back: int = 0


@dataclass(slots=True)
class Sent:
    """A transfer to a payee, a reversal of one, or a payee's payout."""

    kind: ObjectKind
    psp_id: str
    amount: int
    currency: str
    operation: str
    about: str = ""
    status: ObjectStatus = ObjectStatus.SUCCEEDED


@dataclass(slots=True)
class Psp:
    """One account at the PSP. `number` 0 speaks like Stripe, 1 has ids like Adyen's."""

    number: int
    clock: Callable[[], datetime]
    sales: Mapping[str, Sale]
    lines: list[PspLine] = field(default_factory=list)
    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    answers: dict[str, Result] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    moment_of: Callable[[Sale], datetime] | None = None
    overcharged: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[tuple[int, str], PayoutFault] = field(default_factory=dict)  # of payouts, by day and currency
    # The next transfer of so much has no line: the story of it says so.
    lost_transfers: dict[int, set[str]] = field(default_factory=dict)
    name: str = "stripe"

    # --- ids -------------------------------------------------------------------------------------------------------

    def id_of(self, kind: str, name: str, number: int = 0) -> str:
        """Return the id of the n-th object of a kind that a story has."""
        if self.number == 0:
            return f"{kind}_{name}n{number}"
        digest = hashlib.sha256(f"{kind} {name} {number}".encode()).hexdigest()
        return f"8{int(digest[:12], 16) % 10**15:015}"

    def _next(self, key: str) -> int:
        self.seen[key] = self.seen.get(key, -1) + 1
        return self.seen[key]

    def line(self, kind: Kind, currency: str, gross: int, source: str, **more: object) -> PspLine:
        """Write a change of the balance into the books."""
        number = self._next("line")
        own_id = f"txn_{self.number}n{number:06}" if self.number == 0 else f"r{number:06}"
        moment = more.pop("at", None) or self.clock()
        assert isinstance(moment, datetime)
        found = PspLine(own_id, kind, currency, gross, moment, source)
        found.available_on = days.after(moment.date(), AVAILABLE_AFTER)
        for name, value in more.items():
            setattr(found, name, value)
        self.lines.append(found)
        return found

    # --- what Florin asks for --------------------------------------------------------------------------------------

    def register(self, context: CallContext, request: RegisterRequest) -> Result:
        """Make a payment object."""
        return self._once(context, lambda: self._register(context, request))

    def _register(self, context: CallContext, request: RegisterRequest) -> Result:
        checkout = context.metadata["checkout_id"]
        number = self._next(f"payment {checkout}")
        payment = Payment(
            self.id_of("pi", checkout, number), self.id_of("ch", checkout, number), checkout, request.currency,
            request.amount_minor, request.capture_later, context.operation_id, sale=self.sales.get(checkout),
        )  # fmt: skip
        self.payments[payment.psp_id] = payment
        return Result(Outcome.SUCCEEDED, self._payment(payment))

    def create_hosted_session(self, context: CallContext, request: HostedRequest) -> Result:
        """Refuse: no story pays on the PSP's page."""
        del context, request
        return Result(Outcome.DECLINED, error=CallError(ErrorCode.REFUSED, "no pages here"))

    def save_method(self, context: CallContext, token: str, return_url: str, customer: str = "") -> Result:
        """Keep a token for several charges."""
        del return_url
        own_id = self.id_of("seti", context.metadata["checkout_id"])
        found = Snapshot(
            ObjectKind.SAVED_METHOD, own_id, ObjectStatus.SUCCEEDED,
            customer=customer or f"cus_{context.metadata['checkout_id']}", payment_method=token,
        )  # fmt: skip
        return Result(Outcome.SUCCEEDED, found)

    def confirm(self, context: CallContext, psp_id: str, request: ConfirmRequest) -> Result:
        """Pay. The token says how it goes."""
        return self._once(context, lambda: self._confirm(self.payments[psp_id], request.token))

    def _confirm(self, payment: Payment, token: str) -> Result:
        if token == "tok_declined":
            payment.status = ObjectStatus.DECLINED
            return Result(Outcome.DECLINED, self._payment(payment))
        if token == "tok_delayed":
            payment.status = ObjectStatus.PROCESSING
            return Result(Outcome.PENDING, self._payment(payment))
        if payment.capture_later:
            payment.status = ObjectStatus.AUTHORIZED
        else:
            self.succeed(payment, payment.amount)
        return Result(Outcome.SUCCEEDED, self._payment(payment))

    def capture(self, context: CallContext, psp_id: str, amount_minor: int, currency: str) -> Result:
        """Capture an authorization, all of it or less."""
        del currency
        return self._once(context, lambda: self._capture(self.payments[psp_id], amount_minor))

    def _capture(self, payment: Payment, amount: int) -> Result:
        self.succeed(payment, amount)
        return Result(Outcome.SUCCEEDED, self._payment(payment))

    def cancel(self, context: CallContext, psp_id: str, session_id: str) -> Result:
        """Cancel what is not paid."""
        del context, session_id
        payment = self.payments[psp_id]
        if payment.status != ObjectStatus.SUCCEEDED:
            payment.status = ObjectStatus.CANCELLED
        return Result(Outcome.SUCCEEDED, self._payment(payment))

    def refund(self, context: CallContext, psp_id: str, amount_minor: int, currency: str) -> Result:
        """Pay back."""
        del currency
        return self._once(context, lambda: self._refund(context, self.payments[psp_id], amount_minor))

    def _refund(self, context: CallContext, payment: Payment, amount: int) -> Result:
        refund = self.pay_back(payment, amount, operation=context.operation_id)
        return Result(Outcome.SUCCEEDED, self._refunded(refund))

    def submit_evidence(self, context: CallContext, psp_id: str, request: EvidenceRequest) -> Result:
        """Take evidence."""
        del context, request
        return Result(Outcome.SUCCEEDED, self._disputed(self.disputes[psp_id]))

    def create_payee(self, context: CallContext, request: PayeeRequest) -> Result:
        """Make a connected account."""
        own_id = f"acct_{hashlib.sha256((request.currency + request.account_number).encode()).hexdigest()[:12]}"
        self.sent.setdefault(own_id, Sent(ObjectKind.PAYEE, own_id, 0, request.currency, context.operation_id))
        return Result(Outcome.SUCCEEDED, self._sent(self.sent[own_id]))

    def transfer(self, context: CallContext, payee: str, amount_minor: int, currency: str) -> Result:
        """Move money to a connected account."""
        return self._once(context, lambda: self._transfer(context, payee, amount_minor, currency))

    def _transfer(self, context: CallContext, payee: str, amount: int, currency: str) -> Result:
        if self.available(currency) < amount:
            failure = Failure("insufficient_balance", "Not enough money.", retryable_by_buyer=False)
            return Result(Outcome.DECLINED, failure=failure)
        own_id = f"tr_{self.number}n{self._next('transfer'):05}"
        self.sent[own_id] = Sent(ObjectKind.TRANSFER, own_id, amount, currency, context.operation_id, payee)
        if amount in self.lost_transfers:
            self.lost_transfers.pop(amount).add(own_id)
        else:
            self.line(Kind.TRANSFER, currency, -amount, own_id, own=context.operation_id)
        return Result(Outcome.SUCCEEDED, self._sent(self.sent[own_id]))

    def reverse_transfer(self, context: CallContext, transfer: str, amount_minor: int, currency: str) -> Result:
        """Take a transfer back."""
        return self._once(context, lambda: self._reverse(context, transfer, amount_minor, currency))

    def _reverse(self, context: CallContext, transfer: str, amount: int, currency: str) -> Result:
        own_id = f"trr_{self.number}n{self._next('reversal'):05}"
        self.sent[own_id] = Sent(ObjectKind.REVERSAL, own_id, amount, currency, context.operation_id, transfer)
        self.line(Kind.TRANSFER_BACK, currency, amount, own_id, own=context.operation_id)
        return Result(Outcome.SUCCEEDED, self._sent(self.sent[own_id]))

    def payout(self, context: CallContext, payee: str, amount_minor: int, currency: str) -> Result:
        """Pay a payee's balance out; it is under way until the story says more."""
        return self._once(context, lambda: self._payout(context, payee, amount_minor, currency))

    def _payout(self, context: CallContext, payee: str, amount: int, currency: str) -> Result:
        own_id = f"po_s{self.number}n{self._next('seller payout'):05}"
        sent = Sent(ObjectKind.PAYOUT, own_id, amount, currency, context.operation_id, payee, ObjectStatus.PROCESSING)
        self.sent[own_id] = sent
        return Result(Outcome.PENDING, self._sent(sent))

    def balance(self, currency: str) -> Result:
        """Say what may be transferred."""
        amount = max(0, self.available(currency))
        return Result(
            Outcome.SUCCEEDED,
            Snapshot(ObjectKind.BALANCE, "", ObjectStatus.OPEN, currency=currency, amount_minor=amount),
        )

    def fetch(self, kind: ObjectKind, psp_id: str, owner: str = "") -> Result:
        """Say what an object is now."""
        del owner
        found = self._snapshot(kind, psp_id)
        if found is None:
            return Result(Outcome.DECLINED, error=CallError(ErrorCode.NOT_FOUND, "no such object", 404))
        return Result(Outcome.SUCCEEDED, found)

    def find(self, kind: ObjectKind, operation_id: str, near: datetime, owner: str = "") -> Result:
        """Look for what an operation made."""
        del near, owner
        made: list[Payment | Refund | Sent] = [
            *self.payments.values(),
            *self.refunds.values(),
            *(sent for sent in self.sent.values() if sent.kind == kind),
        ]
        for thing in made:
            if thing.operation == operation_id:
                return self.fetch(kind, thing.psp_id)
        return Result(Outcome.NOT_EXECUTED)

    def ensure_webhook(self, url: str) -> str:
        """Take an address."""
        return f"whsec_of_{url}"

    # --- what happens at the PSP by itself -------------------------------------------------------------------------

    def succeed(self, payment: Payment, amount: int) -> None:
        """Take the money of a payment, as its story's fate has it."""
        payment.status, payment.captured = ObjectStatus.SUCCEEDED, amount
        sale = payment.sale
        fate = sale.fate if sale is not None else Fate.PLAIN
        at = self.moment_of(sale) if sale is not None and self.moment_of is not None else self.clock()
        if payment.capture_later:
            at = self.clock()
        if fate == Fate.VANISHED:
            return
        gross, currency = amount, payment.currency
        if fate in (Fate.OTHER_AMOUNT, Fate.ROUNDED) and sale is not None:
            gross += sale.delta
        if fate == Fate.OTHER_CURRENCY:
            currency = "USD" if currency == "EUR" else "EUR"
        if fate == Fate.CONVERTED and sale is not None:
            self._settle_converted(payment, amount, sale, at)
            return
        whole = payment.amount if self.number == 0 and amount < payment.amount else gross
        fee = self.fee_of(whole, currency)
        self._charge(payment, currency, whole, at, fee=fee + self.overcharged.get(payment.checkout, 0))
        if whole > gross:
            self.line(
                Kind.CAPTURED_LESS, currency, gross - whole, payment.charge, at=at, charge=payment.charge,
                payment=payment.psp_id, checkout=payment.checkout, fee=self.fee_of(gross, currency) - fee,
            )  # fmt: skip
        if fate == Fate.TWICE:
            again = self._charge(payment, currency, gross, at, fee=self.fee_of(gross, currency))
            again.charge = again.source = self.id_of("ch", payment.checkout, 9)

    def _charge(self, payment: Payment, currency: str, gross: int, at: datetime, *, fee: int) -> PspLine:
        return self.line(
            Kind.CHARGE, currency, gross, payment.charge, at=at, fee=fee, charge=payment.charge,
            payment=payment.psp_id, checkout=payment.checkout, text='Payment, with "thanks",\nfor a teapot',
        )  # fmt: skip

    def _settle_converted(self, payment: Payment, amount: int, sale: Sale, at: datetime) -> None:
        """Settle in another currency: the buyer was charged ours."""
        other = "USD" if payment.currency == "EUR" else "EUR"
        gross = amount * _RATES[payment.currency, other] // 1_000_000 + sale.delta
        line = self._charge(payment, other, gross, at, fee=self.fee_of(gross, other))
        line.paid_currency, line.paid = payment.currency, amount

    def fee_of(self, gross: int, currency: str) -> int:
        """Return what the contract says that a charge costs."""
        return (abs(gross) * BASIS_POINTS[self.number] + 5000) // 10_000 + FIXED[currency]

    def fail_later(self, payment: Payment) -> None:
        """Take the money of a payment back: it never really came."""
        payment.status = ObjectStatus.FAILED
        self.line(
            Kind.CHARGE_FAILED, payment.currency, -payment.captured, payment.charge, charge=payment.charge,
            payment=payment.psp_id, checkout=payment.checkout,
        )  # fmt: skip

    def pay_back(self, payment: Payment, amount: int, *, operation: str = "", vanishes: bool = False) -> Refund:
        """Refund, because Florin asked or because somebody did it here."""
        number = self._next(f"refund {payment.checkout}")
        refund = Refund(self.id_of("re", payment.checkout, number), payment, amount, operation)
        self.refunds[refund.psp_id] = refund
        payment.refunded += amount
        if not (vanishes or self._vanishes(payment, number)):
            self.line(
                Kind.REFUND, payment.currency, -amount, refund.psp_id, charge=payment.charge, payment=payment.psp_id,
                own=operation, checkout=payment.checkout,
            )  # fmt: skip
        return refund

    @staticmethod
    def _vanishes(payment: Payment, number: int) -> bool:
        sale = payment.sale
        return sale is not None and number < len(sale.refunds) and sale.refunds[number].vanishes

    def refund_fails(self, refund: Refund) -> None:
        """Let a refund come back."""
        refund.status = ObjectStatus.FAILED
        refund.payment.refunded -= refund.amount
        self.line(
            Kind.REFUND_FAILED, refund.payment.currency, refund.amount, refund.psp_id, charge=refund.payment.charge,
            payment=refund.payment.psp_id, checkout=refund.payment.checkout,
        )  # fmt: skip

    def open_dispute(self, payment: Payment, amount: int, cost: int) -> Dispute:
        """Take disputed money away, and charge for it."""
        dispute = Dispute(self.id_of("du", payment.checkout), payment, amount, cost, self.clock())
        self.disputes[dispute.psp_id] = dispute
        self.line(
            Kind.DISPUTE, payment.currency, -amount, dispute.psp_id, fee=cost, charge=payment.charge,
            payment=payment.psp_id, checkout=payment.checkout,
        )  # fmt: skip
        return dispute

    def end_dispute(self, dispute: Dispute, ends: str, back: int) -> None:
        """Decide a dispute; what comes back comes back at once."""
        dispute.stage = DisputeStage.LOST if ends == "lost" else DisputeStage.WON
        dispute.back = back
        if back:
            self.line(
                Kind.DISPUTE_BACK, dispute.payment.currency, back, dispute.psp_id, charge=dispute.payment.charge,
                payment=dispute.payment.psp_id, checkout=dispute.payment.checkout,
            )  # fmt: skip

    def available(self, currency: str) -> int:
        """Return what is in our balance and not on its way to our bank."""
        return sum(line.net for line in self.lines if line.currency == currency)

    def sweep(self, before: datetime, name: str, day: int) -> list[tuple[PspLine, PayoutFault | None]]:
        """Pay out to our bank what was written before a moment; return the payouts, one for a currency."""
        found: list[tuple[PspLine, PayoutFault | None]] = []
        for currency in sorted({line.currency for line in self.lines}):
            batch = [
                line
                for line in self.lines
                if line.currency == currency and not line.payout and line.at < before and line.kind != Kind.PAYOUT
            ]
            net = sum(line.net for line in batch)
            if net == 0:
                continue
            fault = self.faults.get((day, currency)) if net > 0 else None
            found.append((self._pay_out(batch, net, currency, f"{name}{currency.lower()}", fault), fault))
        return found

    def _pay_out(self, batch: list[PspLine], net: int, currency: str, name: str, fault: PayoutFault | None) -> PspLine:
        own_id = f"po_b{self.number}{name}" if self.number == 0 else str(1000 + self._next("batch"))
        payout = self.line(Kind.PAYOUT, currency, -net, own_id, payout=own_id, trace=f"TRC{self.number}{name}".upper())
        for line in batch:
            line.payout = own_id
        if fault is not None:
            fault.payout, fault.amount = own_id, net
            if fault.kind == "wrong total":
                payout.gross -= fault.delta
            if fault.kind == "manual":
                payout.payout = ""
                for line in batch:
                    line.payout = MANUAL
        return payout

    def give_back(self, payout: PspLine) -> None:
        """Take a payout back that the bank did not accept."""
        self.line(Kind.PAYOUT_BACK, payout.currency, -payout.gross, payout.source)

    # --- what an object looks like ---------------------------------------------------------------------------------

    def _once(self, context: CallContext, do: Callable[[], Result]) -> Result:
        if context.idempotency_key not in self.answers:
            self.answers[context.idempotency_key] = do()
        return self.answers[context.idempotency_key]

    def _snapshot(self, kind: ObjectKind, psp_id: str) -> Snapshot | None:
        if kind == ObjectKind.CHARGE and psp_id in self.payments:
            payment = self.payments[psp_id]
            vanished = payment.sale is not None and payment.sale.fate == Fate.VANISHED
            return None if vanished else self._payment(payment)
        if kind == ObjectKind.REFUND and psp_id in self.refunds:
            refund = self.refunds[psp_id]
            number = int(psp_id.rpartition("n")[2]) if self.number == 0 else 0
            return None if self._vanishes(refund.payment, number) else self._refunded(refund)
        if kind == ObjectKind.DISPUTE and psp_id in self.disputes:
            return self._disputed(self.disputes[psp_id])
        if psp_id in self.sent and self.sent[psp_id].kind == kind:
            return self._sent(self.sent[psp_id])
        return None

    @staticmethod
    def _payment(payment: Payment) -> Snapshot:
        failed = payment.status in (ObjectStatus.DECLINED, ObjectStatus.FAILED)
        failure = Failure("card_declined", "The card was declined.", retryable_by_buyer=True) if failed else None
        return Snapshot(
            ObjectKind.CHARGE, payment.psp_id, payment.status, payment.currency, payment.amount,
            captured_minor=payment.captured, failure=failure, method=_CARD,
            metadata={"checkout_id": payment.checkout, "florin_operation": payment.operation},
        )  # fmt: skip

    @staticmethod
    def _refunded(refund: Refund) -> Snapshot:
        return Snapshot(
            ObjectKind.REFUND, refund.psp_id, refund.status, refund.payment.currency, refund.amount,
            charge_psp_id=refund.payment.psp_id, metadata={"florin_operation": refund.operation},
        )  # fmt: skip

    @staticmethod
    def _disputed(dispute: Dispute) -> Snapshot:
        facts = DisputeFacts(
            dispute.stage, "fraudulent", taken_minor=dispute.amount, returned_minor=dispute.back,
            cost_minor=dispute.cost, money_currency=dispute.payment.currency,
        )  # fmt: skip
        return Snapshot(
            ObjectKind.DISPUTE, dispute.psp_id, ObjectStatus.OPEN, dispute.payment.currency, dispute.amount,
            charge_psp_id=dispute.payment.psp_id, created_at=dispute.created_at, dispute=facts,
        )  # fmt: skip

    @staticmethod
    def _sent(sent: Sent) -> Snapshot:
        return Snapshot(
            sent.kind, sent.psp_id, sent.status, sent.currency, sent.amount,
            charge_psp_id=sent.about if sent.kind == ObjectKind.REVERSAL else "",
            metadata={"florin_operation": sent.operation},
        )  # fmt: skip


def lines_of(psp: Psp, day: date, local: Callable[[datetime], date]) -> list[PspLine]:
    """Return what was written on a day of the book's time zone."""
    return [line for line in psp.lines if local(line.at) == day]
