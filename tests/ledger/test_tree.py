"""The tree of accounts adds up to plain sums over entries at every node, page by page, and crosses no book."""

from __future__ import annotations

import random
from collections import defaultdict

import psycopg
import pytest
from django.db import connection, transaction

from ledger import accounts, folding, tree
from ledger.accounts import AccountSpec
from ledger.models import DEBIT_NORMAL, Account, AccountType, Book, Entry, PostingMode
from tests.factories import NOW, BookFactory
from tests.ledger.desk import C, D, Desk, fold_until_empty
from tests.plans import plan_of

ODD = (
    "a",
    "a-b",
    "a:c",
    "a:c:EUR",
    "a:c-d",
    "a1",
    "a1:x",
    "b:",
    "b::",
    "b::x",
    "b::x:y",
    ":c",
    "ä:x",
    "ä",
    "Z",
    "a;",
    "a;:q",
)


def open_all(book: Book, codes: dict[str, tuple[AccountType, PostingMode, str]]) -> dict[str, int]:
    accounts.forget()
    with transaction.atomic():
        opened = accounts.resolve(
            [AccountSpec(book.pk, code, kind, money, mode) for code, (kind, mode, money) in codes.items()]
        )
    return {code: key for (_, code), key in opened.items()}


def write(book: Book, *, seed: int, fold: bool) -> None:
    """Post at random over accounts of both modes in two currencies, some of them never used."""
    dice = random.Random(seed)
    codes = [
        *ODD,
        *(f"seller:s{n}:{part}:{money}" for n in range(3) for part in ("p", "debt") for money in ("EUR", "JPY")),
    ]
    ids = open_all(
        book,
        {
            code: (
                AccountType.ASSET if "debt" in code else dice.choice(list(AccountType)),
                dice.choice(list(PostingMode)),
                "JPY" if code.endswith("JPY") else "EUR",
            )
            for code in codes
        },
    )
    desk = Desk(book, ids)
    for number in range(40):
        money = dice.choice(["EUR", "JPY"])
        of_money = [code for code in codes[:-1] if code.endswith("JPY") == (money == "JPY")]
        one, two = dice.sample(of_money, 2)
        amount = dice.randint(1, 10**9)
        desk.post(desk.journal(f"{seed}-{number}", (one, D, amount), (two, C, amount), currency=money))
        if fold and number in (10, 25):
            folding.fold(now=NOW)


def plain(book: Book, prefix: str | None) -> dict[str, dict[str, tuple[int, int, int, str | None]]]:
    """Return accounts, debits, credits and type of each child by currency, the slow way."""
    above = "" if prefix is None else prefix + ":"
    found: dict[str, dict[str, list[Account]]] = defaultdict(lambda: defaultdict(list))
    for account in Account.objects.filter(book=book):
        if account.code.startswith(above):
            head, more, _ = account.code[len(above) :].partition(":")
            found[above + head + more][account.currency_id].append(account)
    entries: dict[tuple[int, str], int] = defaultdict(int)
    for entry in Entry.objects.filter(book=book):
        entries[entry.account_id, entry.side] += entry.amount
    return {
        key: {
            money: (
                len(rows),
                sum(entries[row.pk, "D"] for row in rows),
                sum(entries[row.pk, "C"] for row in rows),
                rows[0].type if len({row.type for row in rows}) == 1 else None,
            )
            for money, rows in by_money.items()
        }
        for key, by_money in found.items()
    }


def walked(book: Book, prefix: str | None, limit: int) -> list[tree.Node]:
    nodes: list[tree.Node] = []
    after, more = None, True
    while more:
        page, more = tree.children(book.pk, prefix, after=after, limit=limit)
        assert len(page) == limit if more else len(page) <= limit
        nodes += page
        after = page[-1].key if page else None
        assert len(nodes) < 1000
    return nodes


@pytest.mark.parametrize(("limit", "fold"), [(2, False), (100, True)])
def test_every_node_is_the_plain_sum_of_what_is_below_it(committed_desk: Desk, limit: int, fold: bool) -> None:
    book = committed_desk.book
    write(book, seed=limit, fold=fold)
    write(BookFactory.create(), seed=limit, fold=fold)  # another book with the same codes
    if fold:
        fold_until_empty()
    nodes: list[str | None] = [None]
    looked = 0
    while nodes:
        prefix = nodes.pop()
        found = walked(book, prefix, limit)
        expected = plain(book, prefix)
        assert [node.key for node in found] == sorted(expected, key=str.encode), prefix
        for node in found:
            sums = {one.currency: (one.accounts, one.debits, one.credits, one.type) for one in node.sums}
            assert sums == expected[node.key], node.key
            assert [one.currency for one in node.sums] == sorted(sums)
            first = Account.objects.get(public_id=node.first)
            assert tree.key_of(prefix, first.code) == node.key
            ends = not node.key[len(prefix) + 1 if prefix is not None else 0 :].endswith(":")
            assert (node.account_id, ends) in {(None, False), (first.pk, True)}
            for one in node.sums:
                assert one.net == one.debits - one.credits
                assert one.balance == (None if one.type is None else one.net if one.type in DEBIT_NORMAL else -one.net)
            looked += 1
        nodes += [node.code for node in found if node.account_id is None]
    assert looked > 30


def test_the_whole_book_sums_to_zero_and_a_child_may_be_of_several_types(committed_desk: Desk) -> None:
    book = committed_desk.book
    write(book, seed=5, fold=True)
    roots = walked(book, None, 7)
    nets: dict[str, int] = defaultdict(int)
    for node in roots:
        for one in node.sums:
            nets[one.currency] += one.net
    assert nets == {"EUR": 0, "JPY": 0}
    sellers = next(node for node in roots if node.code == "seller")
    assert {(one.type, one.balance, one.accounts) for one in sellers.sums} == {(None, None, 6)}


@pytest.mark.parametrize("prefix", ["nothing", "seller:s1:", "sell", "%", "cash:EUR:x", "cash:EUR", "", "x" * 200])
def test_below_what_is_no_node_there_is_nothing(desk: Desk, prefix: str) -> None:
    assert tree.children(desk.book.pk, prefix, limit=5) == ([], False)
    assert tree.children(BookFactory.create().pk, None, limit=5) == ([], False)


def test_a_page_reads_the_accounts_of_its_children_only(committed_desk: Desk, superuser: psycopg.Connection) -> None:
    """The children are steps over the unique index: no scan of the accounts, and no sort of them."""
    book = committed_desk.book
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM ledger_open_accounts(array_fill(%s::bigint, ARRAY[20000]),"
            " ARRAY(SELECT format('seller:s%%s:%%s:EUR', n / 4, n %% 4) FROM generate_series(1, 20000) n),"
            " array_fill('liability'::text, ARRAY[20000]), array_fill('EUR'::text, ARRAY[20000]),"
            " array_fill('authorizing'::text, ARRAY[20000]), array_fill(0::bigint, ARRAY[20000]))",
            [book.pk],
        )
    found, more = tree.children(book.pk, "seller", after="seller:s3:", limit=20)
    assert (len(found), more, found[0].code, found[0].sums[0].accounts) == (20, True, "seller:s4000", 4)
    superuser.execute("ANALYZE")
    plan = plan_of(lambda: tree.children(book.pk, "seller", after="seller:s3:", limit=20))
    assert plan.scans("ledger_account") == {"account_code_is_unique_in_its_book"}
    assert plan.rows_read("ledger_account") < 200
    assert plan.rows_read("ledger_balance") < 200
    assert plan.rows_sorted() < 200
