"""The scene of a merchant whose own bank pays its sellers, by a file of credit transfers (ISO 20022 pain.001)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from config.demo import office, trading
from config.demo.bank import BankDesk
from config.demo.marketplace import add_seller, open_marketplace
from config.demo.shopper import Json
from config.demo.stage import Say, Scene, Stage, Told, expect
from config.local_stack.home import Home

# The sandbox's bank refuses accounts that end like this.
REFUSED_IBAN: Final = "DE11370400440532011009"
OPENING_MINOR: Final = 50_000
AMOUNTS: Final[Mapping[str, str]] = {"Candle Works": "40.00", "Print House": "60.00"}
SHOPS: Final[Mapping[str, str]] = {"Candle Works": trading.IBAN, "Print House": REFUSED_IBAN}


def bank_file(stage: Stage, say: Say) -> Told:
    """Payouts are gathered into a file; the bank executes one transfer and refuses the other."""
    desk = BankDesk(stage.market.addresses["sandbox_psp"])
    own = _open_shop(stage, say, desk)
    asked = {name: _earn_and_ask(own, say, name, amount) for name, amount in AMOUNTS.items()}
    expect({row["waiting_for"] for row in asked.values()} == {"file"}, "a payout does not wait for the bank's file")
    (made,) = office.make_files(own.market.book_id)
    seen = (made["payouts"], made["total"], made["status"])
    expect(seen == (2, "90.00", "ready"), f"{made['id']} has {seen}")
    path = office.fetch_file(own.market.book_id, made["id"], Home.from_environment().directory / "bank-files")
    count, total = _control_sums(path)
    expect((count, total) == ("2", "90.00"), f"{path.name} says {count} transfers of {total}")
    say(f"{made['id']}  2 transfers of 90.00 EUR, fetched as {path.name}; its payouts are sent")
    report = path.with_suffix(".report.xml")
    report.write_bytes(desk.execute(path.read_bytes()))
    refused = office.read_report(own.market.book_id, report)
    expect(len(refused) == 1, f"the bank's report refused {len(refused)} transfers")
    say("the bank answers (pain.002): one transfer is refused, its account does not exist")
    states = {name: own.shopper.get(f"/payouts/{row['id']}")["status"] for name, row in asked.items()}
    expect(states == {"Candle Works": "sent", "Print House": "cancelled"}, f"the payouts are {states}")
    trading.expect_wallet(own, "Candle Works", available="0.00", in_transit="36.00")
    back = trading.expect_wallet(own, "Print House", available="54.00", in_transit="0.00")
    return Told(
        "a file of 90.00 EUR for the bank; 36.00 are on their way, 54.00 were refused and are available again",
        {
            "file": made["id"],
            "transfers": count,
            "total": total,
            "sent": "36.00",
            "refused": "54.00",
            "available_again": back["available"],
            "currency": "EUR",
        },
    )


def _open_shop(stage: Stage, say: Say, desk: BankDesk) -> Stage:
    """Open a marketplace whose bank pays, with an account that holds money; return a stage of its own."""
    name = f"{stage.market.name}, paid by its bank"
    market = open_marketplace(
        name, stage.market.addresses, country="DE", currency="EUR", over=stage.over, payout_mode="bank"
    )
    stage.opened(market)
    iban = desk.open_account("Demo Market GmbH", opening=OPENING_MINOR)
    account = market.shopper.put_signed(
        f"/merchants/{market.merchant}/bank-accounts/main", {"iban": iban, "account_holder": "Demo Market GmbH"}
    )
    say(f"a marketplace of its own: its bank account {account['account']} pays, not the PSP")
    legs = [
        {"account": "bank:main:EUR", "debit": "500.00", "currency": "EUR"},
        {"account": "retained:EUR", "credit": "500.00", "currency": "EUR"},
    ]
    body = {"kind": "adjust", "reference": "opening-balance", "memo": "what the account held before", "legs": legs}
    proposal = market.shopper.post("/ledger/transactions", body).body
    office.approve(proposal["id"])
    say(f"{proposal['id']}  the account's 500.00 EUR: proposed by one, approved by another")
    sellers = {
        name: add_seller(market.shopper, name.lower().replace(" ", "-"), name, country="DE", default_currency="EUR")
        for name in SHOPS
    }
    return Stage(market, sellers, stage.over, run=stage.run)


def _earn_and_ask(own: Stage, say: Say, seller: str, amount: str) -> Json:
    """Sell, deliver and ask for everything that a seller has."""
    trading.make_payable(own, say, seller, iban=SHOPS[seller])
    trading.deliver(own, trading.sell(own, say, f"for {seller}", seller, amount))
    asked = {"seller": own.sellers[seller], "amount": "all", "currency": "EUR"}
    return own.shopper.post("/payouts", asked).body


def _control_sums(path: Path) -> tuple[str, str]:
    """Read how many transfers a file says that it has, and their sum."""
    found: dict[str, Any] = {}
    for element in ET.parse(path).iter():  # noqa: S314 - our own file
        found.setdefault(element.tag.rpartition("}")[2], element.text)
    return str(found.get("NbOfTxs")), str(found.get("CtrlSum"))


SCENES: Final = (Scene("bank file", bank_file),)
SELLERS: Final[Mapping[str, Mapping[str, Any]]] = {}
