"""The end of the demo as a person reads it: payments, wallets, books, addresses."""

from collections import Counter
from collections.abc import Mapping, Sequence

from config.demo.performance import Performance
from config.demo.shopper import Json
from config.demo.telling import Teller, lines
from ledger.money import format_minor


def show(teller: Teller, performance: Performance) -> None:
    """Show what came of the story and whether the books agree."""
    teller.table(
        "Payments",
        ("scene", "payment", "status", "orders", "amount", "captured"),
        [
            (
                scene,
                found["id"],
                found["status"],
                _counted(found["payment_orders"]),
                f"{found['amount']} {found['currency']}",
                f"{found['amount_captured']} {found['currency']}",
            )
            for scene, found in performance.payments
        ],
        numbers=2,
    )
    teller.table(
        "Money back, and money out",
        ("what", "id", "of", "status", "amount"),
        [
            (kind.removesuffix("s"), row["id"], _owner(row, performance), row["status"], _amount(row))
            for kind, rows in performance.back_and_out.items()
            for row in reversed(rows)
        ],
        numbers=1,
    )
    teller.table(
        "What the sellers have",
        ("seller", "currency", "pending", "available", "in transit", "debt", "balance"),
        [
            (
                seller,
                *(wallet[part] for part in ("currency", "pending", "available", "in_transit", "debt", "balance")),
            )
            for seller, wallets in performance.wallets.items()
            for wallet in wallets
        ],
        numbers=5,
    )
    _show_books(teller, performance)


def _owner(row: Json, performance: Performance) -> str:
    """Name the seller of a payout, or the checkout of a refund or dispute."""
    names = {seller: name for name, seller in performance.stage.sellers.items()}
    return str(names.get(row.get("seller", ""), row.get("checkout_id", "")))


def _amount(row: Json) -> str:
    return f"{row['amount']} {row['currency']}"


def _counted(orders: Sequence[Json]) -> str:
    """Write `2 SUCCESS, 1 CANCELLED`."""
    return ", ".join(f"{count} {status}" for status, count in Counter(o["status"] for o in orders).items())


def _numbered(counts: Mapping[str, int]) -> str:
    """Write `18 charges, 1 dispute`."""
    return ", ".join(f"{count} {kind if count != 1 else kind.removesuffix('s')}" for kind, count in counts.items())


def _show_books(teller: Teller, performance: Performance) -> None:
    found = performance.comparison
    teller.table(
        "Trial balance, and our money at the PSP",
        ("currency", "debits", "credits", "difference", "our clearing", "PSP's books"),
        [
            (
                row.currency,
                *(
                    format_minor(amount, row.currency)
                    for amount in (
                        row.debits,
                        row.credits,
                        row.difference,
                        found.clearing.get(row.currency, 0),
                        found.at_the_psp.get(row.currency, 0),
                    )
                ),
            )
            for row in found.trial_balance
        ],
        numbers=5,
    )
    said = {
        "books": "every invariant holds" if not found.violations else "; ".join(found.violations),
        "PSP": (
            f"{_numbered(found.counts)}: one to one with ours" if found.psp_agrees else "; ".join(found.differences)
        ),
        "story": "as told" if not performance.unexpected else "; ".join(performance.unexpected),
    }
    title = "Everything agrees" if performance.agrees else "Something does not agree"
    teller.panel(f"{title}  ({teller.seconds:.1f} s)", lines(said), good=performance.agrees)


def show_addresses(teller: Teller, urls: Mapping[str, str], login: tuple[str, str], api_key: str) -> None:
    """Show where to look."""
    user, password = login
    shown = {
        "API docs": urls["docs"],
        "checkout page": urls["checkout"],
        "back office": urls["admin"],
        "  sign in": f"{user} / {password}",
        "sandbox PSP": f"{urls['sandbox_psp']}/_sandbox/books",
        "API": f"{urls['web']}/api/v1/payments",
        "  key": api_key,
    }
    teller.addresses("Look at it", lines(shown))
