"""Which adapter serves which PSP account. Adapters are kept per process, keyed by what they were built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings

from payments.psp import stripe
from payments.psp.base import Adapter, NotificationReader

_MEMORY_LIMIT = 1000
# An account at the sandbox follows it: the local stack may find it another port with each start.
SANDBOX = "sandbox:"
_NOWHERE = "http://127.0.0.1:1"  # no sandbox is running: refused at once, tried again


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an adapter is built from. `base_url` empty means the PSP's own address, `SANDBOX` the sandbox PSP."""

    adapter: str
    api_key: str
    base_url: str = ""


_BUILDERS: dict[str, Callable[[Credentials], Adapter]] = {
    "stripe": lambda credentials: stripe.StripeAdapter(credentials.api_key, base_url=credentials.base_url),
}
_READERS: dict[str, NotificationReader] = {"stripe": stripe.StripeNotifications()}
_adapters: dict[Credentials, Adapter] = {}

NAMES = tuple(_BUILDERS)


def adapter_for(credentials: Credentials) -> Adapter:
    """Return the adapter of an account; the same object for the same credentials, so connections are reused."""
    if credentials.base_url == SANDBOX:
        credentials = replace(credentials, base_url=settings.SANDBOX_PSP_URL or _NOWHERE)
    adapter = _adapters.get(credentials)
    if adapter is None:
        if len(_adapters) >= _MEMORY_LIMIT:
            _adapters.clear()
        adapter = _adapters[credentials] = _BUILDERS[credentials.adapter](credentials)
    return adapter


def reader_for(name: str) -> NotificationReader | None:
    """Return how a PSP's notifications are read; `None` for a PSP that we do not know."""
    return _READERS.get(name)
