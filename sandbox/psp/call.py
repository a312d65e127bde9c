"""One request (or one due job) on its way through the sandbox: who asks, with what, at what time."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import Json, not_found, unknown_reference
from .forms import Params
from .store import Store

if TYPE_CHECKING:
    from .sandbox import Sandbox


@dataclass(slots=True)
class Call:
    """What an operation may know. `scope` is the account whose objects it touches, `platform` who pays for
    it.
    """

    sandbox: "Sandbox"
    scope: str
    platform: str
    now: int
    params: Params = field(default_factory=lambda: Params({}))
    ids: tuple[str, ...] = ()
    base_url: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None
    upload: tuple[str, bytes] | None = None

    @property
    def store(self) -> Store:
        """The sandbox's memory."""
        return self.sandbox.store

    @property
    def connected(self) -> bool:
        """Whether the platform acts for one of its connected accounts."""
        return self.scope != self.platform

    def addressed(self, kind: str, word: str) -> Json:
        """Answer the object that the path names, or refuse with 404."""
        found = self.store.get(self.scope, self.ids[0], kind)
        if found is None:
            raise not_found(word, self.ids[0], param=_PATH_PARAM.get(kind, "id"))
        return found

    def referred(self, kind: str, identifier: str, *, param: str) -> Json:
        """Answer an object that a parameter names, or refuse."""
        found = self.store.get(self.scope, identifier, kind)
        if found is None:
            raise unknown_reference(_WORDS.get(kind, kind), identifier, param=param)
        return found


_PATH_PARAM = {"payment_intent": "intent", "setup_intent": "intent", "payment_method": "payment_method"}
_WORDS = {"payment_method": "PaymentMethod", "payment_intent": "payment_intent"}
