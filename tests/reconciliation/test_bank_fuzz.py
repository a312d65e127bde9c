"""Whatever the bytes, a bank's statement is read or refused with its errors; nothing else ever happens."""

import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciliation.formats.bai2 import Bai2
from reconciliation.formats.base import MAX_ERRORS, BadFile, FileError
from reconciliation.formats.camt import Camt
from reconciliation.formats.mt940 import Mt940
from tests.reconciliation.bank_documents import IBAN, OTHER_IBAN, US_ACCOUNT, bai2, balance, camt, entry, facts, mt940

type Reader = Camt | Mt940 | Bai2

DETAILS = (
    "<AmtDtls><InstdAmt><Amt Ccy='USD'>6.00</Amt></InstdAmt></AmtDtls><Chrgs><Rcrd><Amt Ccy='EUR'>1.00</Amt>"
    "<ChrgInclInd>true</ChrgInclInd></Rcrd></Chrgs><NtryDtls><TxDtls><Refs><EndToEndId>p</EndToEndId></Refs>"
    f"<RltdPties><DbtrAcct><Id><IBAN>{OTHER_IBAN}</IBAN></Id></DbtrAcct></RltdPties><RtrInf><Rsn><Cd>AC01</Cd></Rsn>"
    "</RtrInf></TxDtls></NtryDtls>"
)
GOOD: dict[Reader, tuple[str, bytes]] = {
    Camt(): (IBAN, camt(entry("5.00", more=DETAILS, ref="R1"), entry("2.00", "DBIT"), closing="103.00").encode()),
    Mt940(): (
        IBAN,
        mt940(
            ":61:2611201120C5,00NTRFpyo-1//BR1\r\nmore", ":86:166?00WORT?20EREF+p?21SVWZ+x?31DE?32N", ":90C:1EUR5,00",
            closing="C261120EUR105,00",
        ).encode(),
    ),
    Bai2(): (US_ACCOUNT, bai2("16,142,100,S,1,2,3,BR1,C1,TEXT/", "88,more/", closing=10_100).encode()),
}  # fmt: skip
WORDS = [
    b"<Ntry>", b"</Ntry>", b"<Amt Ccy='EUR'>", b"</Amt>", b"\n:61:", b"\n:86:", b"\n:62F:C261120EUR1,", b"-}",
    b"{1:{4:",
    b"\n16,142,", b"\n03,", b"\n88,", b"/\n", b",", b"-1", b"99999999999999999999", b"\x00", b"\xef\xbb\xbf", b"\xff",
    b"&amp;", b"&x;", b"<!DOCTYPE a>", b"<![CDATA[", b"--", b"\xd9\xa1", b"\xc2\xb2", b"?20", b"/EREF/", b"V",
    b"D,9999999,",
    balance("CLBD", "9.99").encode(),
]  # fmt: skip


def either(reader: Reader, account: str, data: bytes) -> None:
    errors, statements = [], []
    try:
        statements = reader.parse(io.BytesIO(data), facts(account))
    except BadFile as bad:
        errors = bad.errors
    assert bool(errors) != bool(statements)
    assert len(errors) <= MAX_ERRORS
    assert all(isinstance(one, FileError) and one.code and isinstance(one.detail, str) for one in errors)
    for statement in statements:
        lines = list(statement.lines)
        assert all(isinstance(line.gross_minor, int) and line.currency and line.flow for line in lines)
        for declared in statement.declared.values():
            if declared.opening is not None and declared.closing is not None:
                assert declared.opening + sum(line.gross_minor for line in lines) == declared.closing


@pytest.mark.parametrize("reader", GOOD, ids=lambda one: one.name)
def test_the_document_that_is_damaged_is_good_before(reader: Reader) -> None:
    account, good = GOOD[reader]
    assert [list(one.lines) for one in reader.parse(io.BytesIO(good), facts(account))]


@pytest.mark.parametrize("reader", GOOD, ids=lambda one: one.name)
@given(data=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(reader: Reader, data: bytes) -> None:
    either(reader, GOOD[reader][0], data)


@st.composite
def damage(draw: Callable[..., object]) -> Callable[[bytes], bytes]:
    """Give a way to damage a document: pieces taken out, put in, exchanged."""
    cuts = draw(
        st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from([b"", *WORDS])), min_size=1, max_size=4)
    )

    def apply(data: bytes) -> bytes:
        for where, length, word in cuts:  # type: ignore[attr-defined] # hypothesis gives the list that it was told
            at = int(where * len(data))
            data = data[:at] + word + data[at + length :]
        return data

    return apply


@pytest.mark.parametrize("reader", GOOD, ids=lambda one: one.name)
@given(damaged=damage())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_damage_is_read_or_refused_and_never_breaks_the_balance(
    reader: Reader, damaged: Callable[[bytes], bytes]
) -> None:
    account, good = GOOD[reader]
    either(reader, account, damaged(good))
