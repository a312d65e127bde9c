"""How a request of the SDK travels: one pool of kept connections for each address, and no second try.

The SDK takes an HTTP client from its caller. This one stands directly on urllib3: the client that the SDK brings goes
through `requests`, whose sessions, cookies and hooks we switch off anyway and which cost more CPU than the rest of
the call together.

It must never retry, follow a redirect, keep a cookie or read credentials from the environment.
"""

import io
import re
from collections.abc import Callable, Mapping
from typing import Final, override
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import stripe
import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

POOL_SIZE: Final = 64
NO_RETRIES: Final = urllib3.Retry.from_int(False, redirect=False)
_SENDABLE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


_connection_error: Callable[[str], stripe.APIConnectionError] = stripe.APIConnectionError  # untyped in the SDK


class RefusedLocallyError(Exception):
    """The address or a header cannot be sent; no connection was opened. Its text shows neither."""


class RedirectedError(Exception):
    """The answer points elsewhere. We do not go there."""


class Upload(io.BytesIO):
    """A file as the SDK sends it: bytes with a name."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


class PooledClient(stripe.HTTPClient):
    """The SDK's HTTP client for the addresses of one PSP. Thread-safe."""

    name = "urllib3"

    def __init__(self, *addresses: str, connect_seconds: float, read_seconds: float) -> None:
        super().__init__()
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._pools = {address: _pool(address, timeout) for address in dict.fromkeys(addresses)}

    @override
    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: object = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send one request and read its answer. Raises `stripe.APIConnectionError` with the reason as its cause."""
        sent = dict(headers or {})
        prefix, pool = next((self._pools[one] for one in self._pools if url.startswith(one)), ("", None))
        try:
            if pool is None or not all(map(_SENDABLE.fullmatch, sent.values())):
                raise RefusedLocallyError
            body = post_data.encode() if isinstance(post_data, str) else post_data
            answer = pool.urlopen(
                method.upper(),
                url.removeprefix(prefix) if prefix else url,
                body=body if isinstance(body, bytes) else None,
                headers=sent,
                retries=NO_RETRIES,
                redirect=False,
                assert_same_host=False,
            )
            if answer.get_redirect_location():
                raise RedirectedError(str(answer.status))
        except (HTTPError, RefusedLocallyError, RedirectedError) as problem:
            raise _connection_error(type(problem).__name__) from problem
        return answer.data.decode(), answer.status, answer.headers

    @override
    def close(self) -> None:
        """Close every kept connection."""
        for _, pool in self._pools.values():
            if pool is not None:
                pool.close()


def _pool(address: str, timeout: urllib3.Timeout) -> tuple[str, urllib3.HTTPConnectionPool | None]:
    """Return the pool for an address and what to cut off in front of a path; no pool if the address is none."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "", None
    prefix = f"{parts.scheme}://{parts.netloc}"
    proxy = None if proxy_bypass(parts.hostname) else getproxies().get(parts.scheme)
    pools = urllib3.PoolManager(maxsize=POOL_SIZE, timeout=timeout, ca_certs=stripe.ca_bundle_path)
    try:
        if proxy is not None:
            user = urlsplit(proxy)
            credentials = f"{user.username}:{user.password or ''}" if user.username else None
            pools = urllib3.ProxyManager(
                proxy,
                proxy_headers=urllib3.make_headers(proxy_basic_auth=credentials),
                maxsize=POOL_SIZE,
                timeout=timeout,
                ca_certs=stripe.ca_bundle_path,
            )
            # A plain address is asked of the proxy by its full name; an encrypted one goes through a tunnel.
            prefix = prefix if parts.scheme == "https" else ""
        return prefix, pools.connection_from_url(address)
    except LocationValueError:
        return "", None
