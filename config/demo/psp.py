"""What the demo asks of the sandbox PSP: its books, a fault for one checkout, how often it delivered what.

The control endpoints of the sandbox, as a person could call them with curl. Florin itself never does.
"""

from collections import Counter
from typing import Any, Final

import requests

TIMEOUT_SECONDS: Final = 60.0


class SandboxRefusal(Exception):
    """The sandbox did not do what it was asked to."""


class PspDesk:
    """The sandbox PSP's desk for one of its accounts."""

    def __init__(self, url: str, secret_key: str) -> None:
        self._url = f"{url}/_sandbox"
        self.secret_key = secret_key

    def books(self) -> dict[str, Any]:
        """Return the account's books: charges, refunds, balances in minor units."""
        return self._ask("GET", "books", params={"account": self.secret_key})

    def deliver_twice(self, checkout_id: str) -> None:
        """Order that every webhook about one checkout is delivered twice."""
        rule = {"operation": "webhooks", "kind": "duplicate", "times": 20, "account": self.secret_key}
        self._ask("POST", "faults", json={**rule, "match": {"metadata.checkout_id": checkout_id}})

    def delivered(self) -> Counter[str]:
        """Return how often each event reached us, by its id."""
        rows = self._ask("GET", "webhooks", params={"account": self.secret_key})["deliveries"]
        return Counter(row["event"] for row in rows if row["state"] == "done")

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self._url}/{path}", timeout=TIMEOUT_SECONDS, **more)
        if answer.status_code != 200:
            raise SandboxRefusal(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found
