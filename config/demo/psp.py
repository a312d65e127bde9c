"""What the demo asks of the sandbox PSP: its books, faults, disputes and banks that give money back, its deliveries.

The control endpoints of the sandbox, as a person could call them with curl. Florin itself never does.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import requests

TIMEOUT_SECONDS: Final = 60.0


class SandboxRefusal(Exception):
    """The sandbox did not do what it was asked to."""


class PspDesk:
    """The sandbox PSP's desk for one of its accounts."""

    def __init__(self, url: str, secret_key: str) -> None:
        self._psp = url
        self._url = f"{url}/_sandbox"
        self.secret_key = secret_key

    def books(self) -> dict[str, Any]:
        """Return the account's books: charges, refunds, balances in minor units."""
        return self._ask("GET", "books", params={"account": self.secret_key})

    def deliver_twice(self, checkout_id: str) -> None:
        """Order that every webhook about one checkout is delivered twice."""
        rule = {"operation": "webhooks", "kind": "duplicate", "times": 20, "account": self.secret_key}
        self._ask("POST", "faults", json={**rule, "match": {"metadata.checkout_id": checkout_id}})

    def slow_reversals(self, seconds: float) -> None:
        """Order that the next transfer that is taken back begins a while later."""
        rule = {"operation": "transfers.reversals.create", "kind": "delay_before", "seconds": seconds, "times": 1}
        self._ask("POST", "faults", json={**rule, "account": self.secret_key})

    def dispute(self, checkout_id: str) -> str:
        """Let a buyer's bank take back what was paid for a checkout; return the dispute's id."""
        charge = self._named("charges", "checkout_id", checkout_id)
        body = {"payment_intent": charge["payment_intent"], "reason": "product_not_received"}
        return str(self._ask("POST", "disputes", json=body)["id"])

    def decide(self, dispute: str, status: str) -> None:
        """Let the bank decide a dispute: `won` or `lost`."""
        self._ask("POST", f"disputes/{dispute}/close", json={"status": status})

    def send_back(self, payout: str) -> None:
        """Let a seller's bank give back what was paid out; `payout` is our id."""
        found = self._named("payouts", "florin_payout", payout)
        self._ask("POST", f"payouts/{found['id']}/advance", json={"status": "failed"})

    def pay_for_nothing(self, amount_minor: int, currency: str) -> None:
        """Let somebody pay at the PSP's own account, as with a link that was made in its dashboard."""
        body = {
            "amount": amount_minor,
            "currency": currency,
            "payment_method": "pm_card_visa",
            "payment_method_types[]": "card",
            "confirm": "true",
        }
        with requests.Session() as session:
            session.trust_env = False
            session.auth = (self.secret_key, "")
            answer = session.post(f"{self._psp}/v1/payment_intents", data=body, timeout=TIMEOUT_SECONDS)
        if answer.status_code != 200 or answer.json()["status"] != "succeeded":
            raise SandboxRefusal(f"a payment at the PSP: {answer.status_code} {answer.text[:200]}")

    def take(self, category: str, amount_minor: int, currency: str) -> None:
        """Let the PSP take something from the balance by itself."""
        body = {"account": self.secret_key, "category": category, "amount": -amount_minor, "currency": currency}
        self._ask("POST", "adjustments", json=body)

    def settlement_file(self, *, damage: str = "", of: str = "") -> bytes:
        """Return the PSP's settlement file of today, damaged on its way when that is wanted."""
        query = {"account": self.secret_key, "day": f"{datetime.now(UTC):%Y-%m-%d}", "damage": damage, "source": of}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(
                f"{self._url}/reports/balance_change",
                params={name: value for name, value in query.items() if value},
                timeout=TIMEOUT_SECONDS,
            )
        if answer.status_code != 200:
            raise SandboxRefusal(f"the settlement file: {answer.status_code} {answer.text[:200]}")
        return answer.content

    def delivered(self) -> Counter[str]:
        """Return how often each event reached us, by its id."""
        rows = self._ask("GET", "webhooks", params={"account": self.secret_key})["deliveries"]
        return Counter(row["event"] for row in rows if row["state"] == "done")

    def _named(self, kind: str, name: str, value: str) -> dict[str, Any]:
        """Find an object of the books by what we wrote on it."""
        for row in self.books()[kind]:
            if row["metadata"].get(name) == value:
                return dict(row)
        raise SandboxRefusal(f"none of the PSP's {kind} has {name} {value}")

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self._url}/{path}", timeout=TIMEOUT_SECONDS, **more)
        if answer.status_code != 200:
            raise SandboxRefusal(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found
