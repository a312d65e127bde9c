"""What the outside world sends: for each day the files of each source, and what happens to them on their way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from benchmarks.reconciliation.history import bank as banks
from benchmarks.reconciliation.history.bank import Bank
from benchmarks.reconciliation.history.outside import BankDay, BankEntry, Kind, PspLine
from benchmarks.reconciliation.history.playing import ZONE, Stage
from benchmarks.reconciliation.history.stories import Post
from benchmarks.reconciliation.history.writers import adyen, bai2, camt, declared, stripe


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way: from which source, in which format, and the day on whose morning after it arrives."""

    source: str
    format: str
    name: str
    content: bytes
    arrives: int


def of_day(stage: Stage, bank: Bank, day: int) -> list[File]:
    """Return the files about a day, as their senders have them; most arrive on the morning after."""
    found = []
    for psp, account in zip(stage.psps, stage.psp_accounts, strict=True):
        posts = [post for post in stage.plan.post if post.source == account.code and post.day == day]
        make = _stripe if psp.number == 0 else _adyen
        found += _posted(make(stage, psp.number, day), posts)
    date_of = stage.plan.date_of(day)
    for account_of_bank in bank.accounts.values():
        statement = account_of_bank.statements.get(date_of)
        if statement is not None and (statement.entries or account_of_bank.format != "csv"):
            currency = account_of_bank.currency
            posts = [post for post in stage.plan.post if post.source == currency and post.day == day]
            found += _statement(statement, day, posts)
    return found


def _stripe(stage: Stage, number: int, day: int) -> list[File]:
    psp, code = stage.psps[number], stage.psp_accounts[number].code
    lines = [line for line in psp.lines if _reported_on(stage, line) == day]
    made = [line for line in lines if line.kind == Kind.PAYOUT]
    paid_out = {line.payout for line in made} - {""}
    batches = [line for line in psp.lines if line.payout in paid_out]
    batches += [line for line in made if not line.payout]
    activity = stripe.balance_change(lines, ZONE)
    payouts = stripe.payout_reconciliation(batches, ZONE)
    # A report of nothing is not sent.
    is_active = any(line.kind not in (Kind.PAYOUT, Kind.PAYOUT_BACK) for line in lines)
    found = [File(code, "stripe_balance_change", f"activity-{day:02}.csv", activity, day)] if is_active else []
    if batches or _has_payout_news(lines):
        news = [line for line in lines if line.kind == Kind.PAYOUT_BACK]
        payouts = stripe.payout_reconciliation([*batches, *news], ZONE)
        found.append(File(code, "stripe_payout_itemized", f"payouts-{day:02}.csv", payouts, day))
    return found


def _reported_on(stage: Stage, line: PspLine) -> int:
    """Return the day whose report has a line: its own, but for one that comes late."""
    late = {story.name: story.late_days for story in stage.plan.standing if story.late_days}
    name = line.source.removeprefix("st_").rpartition("n")[0]
    return stage.local(line.at).toordinal() - stage.plan.start.toordinal() + late.get(name, 0)


def _has_payout_news(lines: list[PspLine]) -> bool:
    return any(line.kind == Kind.PAYOUT_BACK for line in lines)


def _adyen(stage: Stage, number: int, day: int) -> list[File]:
    psp, code = stage.psps[number], stage.psp_accounts[number].code
    made = [line for line in psp.lines if line.kind == Kind.PAYOUT and stage.local(line.at) == stage.plan.date_of(day)]
    found = []
    for payout in made:
        rows = [line for line in psp.lines if line.payout == payout.source and line is not payout]
        content = adyen.settlement_details([*rows, payout], int(payout.source), ZONE)
        name = f"settlement_detail_report_batch_{payout.source}.csv"
        found.append(File(code, "adyen_settlement", name, content, day))
    return found


def _posted(files: list[File], posts: list[Post]) -> list[File]:
    found = []
    for file in files:
        for post in posts:
            found += _changed(replace(file, arrives=file.arrives + post.days), post.how)
        if not posts:
            found.append(file)
    return found


def _changed(file: File, how: str) -> list[File]:
    match how:
        case "missing":
            return []
        case "late":
            return [file]
        case "twice":
            return [file, replace(file, name=f"copy of {file.name}")]
        case "renamed":
            # The same rows in other bytes, as a spreadsheet writes them again.
            return [file, replace(file, name="again.csv", content=file.content.replace(b"\n", b"\r\n"))]
        case "marked":
            return [replace(file, content=b"\xef\xbb\xbf" + file.content.replace(b"\n", b"\r\n"))]
        case "truncated" if file.format != "stripe_balance_change":
            return [file]
        case "truncated":
            whole = file.content
            return [
                replace(file, content=whole[: whole.rindex(b",", 0, len(whole) - 1)]),
                replace(file, arrives=file.arrives + 1),
            ]
        case _:
            raise AssertionError(how)


def _statement(statement: BankDay, day: int, posts: list[Post]) -> list[File]:
    name = f"{statement.currency.lower()}-{statement.day}"
    code, written = banks.FORMATS[statement.currency], banks.write(statement)
    file = File(statement.currency, code, name, written, day)
    found = []
    for post in posts:
        late = replace(file, arrives=day + post.days)
        match post.how:
            case "revised":
                found += [replace(file, content=banks.write(_without_last(statement))), replace(late, name=f"{name}-2")]
            case "bad total":
                found += [replace(file, content=_with_bad_total(statement)), replace(late, name=f"{name}-2")]
            case "marked":
                found.append(replace(file, content=declared.statement(statement, mark=True)))
            case "formulas":
                found.append(replace(file, content=declared.statement(statement, formulas=True)))
            case "version 2":
                found.append(replace(file, content=camt.statement(statement, version=2, sums=False)))
            case "copy":
                again = camt.statement(statement, copy=True)
                found += [file, replace(file, name=f"{name}-copy", content=again)]
            case how:
                found += _changed(late, how)
    return found or ([] if posts else [file])


def _without_last(statement: BankDay) -> BankDay:
    """Return the statement as it was sent at first: its last entry was not on it, and it closed without it."""
    kept = statement.entries[:-1]
    closing = statement.opening + sum(entry.amount for entry in kept if not entry.pending)
    return replace(statement, entries=kept, closing=closing)


def _with_bad_total(statement: BankDay) -> bytes:
    if statement.currency == "USD":
        return bai2.statement(statement, off=1)
    return banks.write(replace(statement, closing=statement.closing + 1))


def pending_twin(entry: BankEntry, day: date) -> BankEntry:
    """Return what a bank shows of an entry before it books it: another reference, another day, not final."""
    return replace(entry, pending=True, day=day, reference=f"P{entry.reference}")
