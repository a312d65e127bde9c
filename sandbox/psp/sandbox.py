"""The running sandbox: its memory, clock, faults, webhooks, kept answers and due jobs, tied together once."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.bank.bank import Bank

from .call import Call
from .clock import Clock
from .errors import Json
from .faults import Faults
from .idempotency import Answers
from .identifiers import account_id_of, new_id
from .jobs import Jobs
from .store import Store
from .webhooks import Webhooks


@dataclass(slots=True)
class Settings:
    """What a start may choose."""

    data_dir: Path | None = None
    qr_seconds: float = 2.0
    delayed_seconds: float = 5.0
    payout_seconds: float = 2.0
    verify_books: bool = False
    public_url: str | None = None


class Sandbox:
    """All state of one sandbox process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.temporary = None if settings.data_dir else tempfile.TemporaryDirectory(prefix="sandbox-psp-")
        directory = settings.data_dir or Path(self.temporary.name if self.temporary else ".")
        self.clock = Clock()
        self.store = Store(directory / "psp.sqlite3")
        self.bank = Bank(directory / "bank.sqlite3", self.clock.now)
        self.faults = Faults()
        self.answers = Answers(self.store)
        self.webhooks = Webhooks(self)
        self.jobs = Jobs(self)
        self.scopes: dict[str, str] = {}
        self.requests: dict[str, int] = {}

    def close(self) -> None:
        """Close the store and remove a temporary one."""
        self.store.close()
        self.bank.close()
        if self.temporary is not None:
            self.temporary.cleanup()

    def account(self, secret_key: str) -> str:
        """Answer the account of a secret key; the first use creates it."""
        scope = self.scopes.get(secret_key)
        if scope is None:
            scope = account_id_of(secret_key)
            self.store.db.execute(
                "INSERT OR IGNORE INTO accounts (id, secret_key, platform, created) VALUES (?, ?, NULL, ?)",
                (scope, secret_key, int(self.clock.now())),
            )
            self.scopes[secret_key] = scope
        return scope

    def platform_of(self, scope: str) -> str | None:
        """Answer the platform of a connected account (an account of its own is its own platform)."""
        row = self.store.db.execute("SELECT platform FROM accounts WHERE id = ?", (scope,)).fetchone()
        return None if row is None else str(row[0] or scope)

    def scopes_of(self, platform: str) -> list[str]:
        """Answer an account and its connected accounts."""
        rows = self.store.db.execute("SELECT id FROM accounts WHERE platform = ?", (platform,))
        return [platform, *(identifier for (identifier,) in rows)]

    def call(self, scope: str) -> Call:
        """Answer a call that the sandbox makes by itself, for a due job or a control request."""
        return Call(
            sandbox=self,
            scope=scope,
            platform=self.platform_of(scope) or scope,
            now=int(self.clock.now()),
            base_url=self.settings.public_url or "",
            request_id=None,
        )

    def reset(self, secret_key: str | None) -> Json:
        """Forget one account with its connected ones, or everything, and their faults."""
        scopes = None if secret_key is None else self.scopes_of(self.account(secret_key))
        with self.store.transaction():
            self.store.wipe(scopes)
        self.faults.clear(None if secret_key is None else scopes)
        self.webhooks.forget()
        if scopes is None:
            self.bank.store.wipe()
            self.scopes.clear()
            self.requests.clear()
            self.clock.reset()
        else:
            self.scopes.pop(secret_key or "", None)
        return {"reset": "everything" if scopes is None else scopes}


def request_id() -> str:
    """Answer a new id for a request, as Stripe shows it in `Request-Id`."""
    return new_id("req")
