"""The same line twice: from the same bytes, another document, a revision; and two people at the same moment."""

import io
import threading
from datetime import date

import pytest

from config import seam
from payments.models import PspAccount
from reconciliation import ingest
from reconciliation.models import ReconciliationRun, SettlementFile, Source, StatementLine
from tests.reconciliation.papers import (
    CHARGE,
    DISPUTE,
    NOW,
    PAYOUT,
    REFUND,
    TRANSFER,
    codes,
    lines,
    psp_source,
    receive,
    report,
)


def counts(file: SettlementFile) -> tuple[int, int, int, int]:
    """Return new, known, changed and withdrawn."""
    return file.new_count, file.known_count, file.changed_count, file.withdrawn_count


@pytest.mark.django_db
def test_the_same_bytes_are_the_first_result_again() -> None:
    """Under another name, too."""
    source = psp_source()
    first = receive(source, report(CHARGE, REFUND))
    second = receive(source, report(CHARGE, REFUND), name="renamed.csv")
    assert (first.fresh, second.fresh) == (True, False)
    assert second.file.pk == first.file.pk
    assert second.run == first.run
    assert len(lines(source)) == 2


@pytest.mark.django_db
def test_files_that_overlap_agree() -> None:
    """A line that was there before is known."""
    source = psp_source()
    receive(source, report(CHARGE, REFUND))
    second = receive(source, report(REFUND, DISPUTE, CHARGE)).file
    assert counts(second) == (1, 2, 0, 0)
    assert second.line_count == 3
    assert [one.key for one in lines(source)] == ["txn_1", "txn_2", "txn_3"]


@pytest.mark.django_db
def test_a_changed_line_is_a_further_revision() -> None:
    """The first one stays as it was; nothing of the others is written again."""
    source = psp_source()
    receive(source, report(CHARGE, REFUND))
    revised = receive(source, report(CHARGE, REFUND.replace("-30.00,0.00,-30.00", "-31.00,0.00,-31.00"))).file
    assert counts(revised) == (0, 1, 1, 0)
    kept = [(one.key, one.revision, one.gross_minor, one.file_id == revised.pk) for one in lines(source)]
    assert kept == [("txn_1", 0, 10000, False), ("txn_2", 0, -3000, False), ("txn_2", 1, -3100, True)]


@pytest.mark.django_db
def test_a_line_is_compared_with_its_last_revision() -> None:
    """Back and forth are three revisions; the same once more is none."""
    source = psp_source()
    other = REFUND.replace("-30.00,0.00,-30.00", "-31.00,0.00,-31.00")
    for content in (report(REFUND), report(other), report(REFUND, CHARGE), report(REFUND, DISPUTE)):
        receive(source, content)
    kept = [(one.revision, one.gross_minor) for one in lines(source) if one.key == "txn_2"]
    assert kept == [(0, -3000), (1, -3100), (2, -3000)]


@pytest.mark.django_db
def test_what_a_later_report_adds_completes_a_line_and_what_it_lacks_is_kept() -> None:
    """The list of activity has no payout yet; the report of payouts has no trace of the operation."""
    source = psp_source()
    receive(source, report(CHARGE.replace("po_1", ""), TRANSFER), written_in="stripe_balance_change")
    file = receive(source, report(CHARGE, TRANSFER.replace("op-17", ""))).file
    assert counts(file) == (0, 1, 1, 0)
    kept = [(one.key, one.revision, one.batch, one.own_reference) for one in lines(source)]
    assert kept == [("txn_1", 0, "", ""), ("txn_4", 0, "", "op-17"), ("txn_1", 1, "po_1", "")]


@pytest.mark.django_db
def test_a_text_alone_makes_no_change() -> None:
    """Reports about the same movement describe it differently."""
    source = psp_source()
    receive(source, report(CHARGE))
    assert counts(receive(source, report(CHARGE.replace("Order 1", "Payment for order 1"))).file) == (0, 1, 0, 0)


@pytest.mark.django_db
def test_one_id_twice_in_a_file_is_one_line_or_a_contradiction() -> None:
    """The PSP's own id names one movement of money."""
    source = psp_source()
    file = receive(source, report(CHARGE, CHARGE)).file
    assert counts(file) == (1, 1, 0, 0)
    bad = receive(source, report(REFUND, REFUND.replace("-30.00,0.00,-30.00", "-31.00,0.00,-31.00"))).file
    assert codes(bad) == [(3, "", "contradictory_lines")]
    assert [one.key for one in lines(source)] == ["txn_1"]


@pytest.mark.django_db
def test_a_day_that_was_looked_at_is_queued_again_when_something_new_came() -> None:
    """What is known already wakes nobody."""
    source = psp_source()
    run = receive(source, report(CHARGE)).run
    assert run is not None
    ended = {"state": "finished", "verdict": "BREAKS", "finished_at": NOW}
    ReconciliationRun.objects.filter(pk=run.pk).update(**ended)
    receive(source, report(CHARGE.replace("Order 1", "Order one")))
    run.refresh_from_db()
    assert (run.state, run.verdict) == ("finished", "BREAKS")
    receive(source, report(CHARGE, PAYOUT))
    run.refresh_from_db()
    assert (run.state, run.verdict, run.finished_at) == ("queued", "", None)


def test_two_who_hand_in_one_file_at_the_same_moment_make_one(committed_db: object) -> None:
    """The lock of the source lets one read; the other finds what it made."""
    source = psp_source()
    content = report(CHARGE, REFUND, DISPUTE)
    found: list[tuple[int, bool]] = []
    start = threading.Barrier(4)

    def hand_in() -> None:
        from django.db import connection

        start.wait()
        got = ingest.receive(
            source,
            io.BytesIO(content),
            format="stripe_payout_itemized",
            name="report.csv",
            received_from="user:tests",
            now=NOW,
        )
        found.append((got.file.pk, got.fresh))
        connection.close()

    threads = [threading.Thread(target=hand_in) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len({pk for pk, _ in found}) == 1
    assert sorted(fresh for _, fresh in found) == [False, False, False, True]
    assert StatementLine.objects.count() == 3
    assert SettlementFile.objects.count() == 1


ADYEN_HEADER = (
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Type,"
    "Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Exchange Rate,Net Currency,"
    "Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),"
    "Payment Method Variant,Modification Merchant Reference,Batch Number,Reserved4"
)


def adyen(*rows: str) -> bytes:
    """Write a settlement details report in its classic layout."""
    return "\n".join((ADYEN_HEADER, *rows, "")).encode()


def row(psp: str, kind: str, modification: str, *, gross: str, net: str, fees: str) -> str:
    """Write one row; amounts are `debit,credit`, fees the four columns."""
    return (
        f"Shop,ShopEU,{psp},cart-1,visa,2026-11-20 11:26:49,CET,{kind},{modification},EUR,{gross},1,EUR,{net},{fees},"
        "visaclassic,,7,"
    )


SETTLED = row("P1", "Settled", "M1", gross=",5.00", net=",4.88", fees=",0.04,0.01,0.07")
TWIN = row("", "Fee", "", gross="0.10,", net="0.10,", fees=",,,")
PAID_OUT = row("", "MerchantPayout", "", gross=",", net="4.68,", fees=",,,")


@pytest.mark.django_db
def test_real_twins_stay() -> None:
    """Two rows that are alike in every column are two movements."""
    source = psp_source()
    file = receive(source, adyen(SETTLED, TWIN, TWIN, PAID_OUT), written_in="adyen_settlement").file
    assert (file.errors, counts(file)) == ([], (4, 0, 0, 0))
    assert file.identity == "batch 7 of ShopEU"
    kept = [(one.key, one.flow, one.gross_minor, one.fee_minor, one.reference) for one in lines(source)]
    assert kept == [
        ("P1|Settled|M1|7#1", "charge", 500, 12, "P1"),
        ("|Fee||7#1", "fee", -10, 0, ""),
        ("|Fee||7#2", "fee", -10, 0, ""),
        ("|MerchantPayout||7#1", "payout", -468, 0, "7"),
    ]
    assert lines(source)[0].booked_on == date(2026, 11, 20)


@pytest.mark.django_db
def test_a_revision_of_a_batch_withdraws_what_it_leaves_out() -> None:
    """The withdrawn line gets a last revision of nothing, so that sums over last revisions are right."""
    source = psp_source()
    first = receive(source, adyen(SETTLED, TWIN, TWIN, PAID_OUT), written_in="adyen_settlement").file
    revised = receive(
        source, adyen(SETTLED, TWIN, PAID_OUT.replace("4.68", "4.78")), written_in="adyen_settlement"
    ).file
    assert revised.revises_id == first.pk
    assert counts(revised) == (0, 2, 1, 1)
    latest = {one.key: (one.revision, one.gross_minor - one.fee_minor) for one in lines(source)}
    assert latest == {
        "P1|Settled|M1|7#1": (0, 488),
        "|Fee||7#1": (0, -10),
        "|Fee||7#2": (1, 0),
        "|MerchantPayout||7#1": (1, -478),
    }
    assert sum(net for _, net in latest.values()) == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ((SETTLED, TWIN, PAID_OUT), "wrong_total"),
        ((SETTLED, TWIN), "cut_off"),
        ((SETTLED.replace("ShopEU", "Another"), PAID_OUT.replace("4.68", "4.88")), "other_account"),
    ],
)
def test_a_batch_that_does_not_close_is_refused(rows: tuple[str, ...], code: str) -> None:
    """Another total than the payout, no payout at all, another account's row."""
    source = psp_source()
    Source.objects.filter(pk=source.pk).update(account="SHOPEU")
    source.refresh_from_db()
    file = receive(source, adyen(*rows), written_in="adyen_settlement").file
    assert [found for _, _, found in codes(file)] == [code]
    assert not StatementLine.objects.exists()


@pytest.mark.django_db
def test_adyens_amounts_are_checked_against_its_fees() -> None:
    """Gross less the four fees is net; a zone that nobody knows is no guess."""
    source = psp_source()
    bad = [SETTLED.replace("4.88", "4.87"), SETTLED.replace(",CET,", ",XYZ,"), PAID_OUT.replace("4.68", "9.75")]
    file = receive(source, adyen(*bad), written_in="adyen_settlement").file
    assert codes(file) == [(2, "Net Credit (NC)", "wrong_total"), (3, "Creation Date", "invalid_time")]


def _account() -> PspAccount:
    account = psp_source().psp_account
    assert account is not None
    return account


@pytest.mark.django_db
def test_a_source_is_made_on_demand() -> None:
    """The code of a PSP account is the code of its source."""
    from reconciliation import sources

    account = _account()
    Source.objects.all()
    found = sources.find(account.book_id, account.code, now=seam.now())
    assert found.psp_account_id == account.pk
    assert sources.of_psp_account(account, now=seam.now()) == found
