"""What the demo asks of the sandbox's bank: an account, and the execution of a file of transfers.

The control endpoints of the sandbox, as a person could call them with curl. Florin itself never does: files are taken
to a bank by people.
"""

from typing import Any, Final

import requests

TIMEOUT_SECONDS: Final = 60.0


class BankRefusal(Exception):
    """The bank did not do what it was asked to."""


class BankDesk:
    """The sandbox bank's desk."""

    def __init__(self, sandbox: str) -> None:
        self._url = f"{sandbox}/_sandbox/bank"

    def open_account(self, holder: str, *, opening: int) -> str:
        """Open an account in euro that holds `opening` cents; return its IBAN."""
        found = self._ask("accounts", json={"holder": holder, "currency": "EUR", "opening": opening}).json()
        return str(found["iban"])

    def execute(self, pain_001: bytes) -> bytes:
        """Hand in a file of transfers; return the bank's report of it (pain.002)."""
        return self._ask("orders", data=pain_001, headers={"Content-Type": "application/xml"}).content

    def _ask(self, path: str, **more: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(f"{self._url}/{path}", timeout=TIMEOUT_SECONDS, **more)
        if answer.status_code != 200:
            raise BankRefusal(f"POST {path}: {answer.status_code} {answer.text[:200]}")
        return answer
