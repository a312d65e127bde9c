"""A closed-loop HTTP load generator: a fixed number of keep-alive connections, one request in flight on each.

Loopback only. It shares the machine with what it measures, so a figure from here is a ratio to another figure of the
same run, never a capacity.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_ANSWER_BYTES = 1_000_000


@dataclass(slots=True)
class Load:
    """What one slice of load led to. `latencies` in seconds, of answers with the expected status."""

    seconds: float = 0.0
    answered: int = 0
    unexpected: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Return expected answers per second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Return a latency quantile in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class _Connection(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, load: Load, request: Callable[[], bytes], expect: bytes, ends: float) -> None:
        self.load, self.request, self.expect, self.ends = load, request, expect, ends
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.sent_at = time.perf_counter()
        if self.sent_at >= self.ends:
            self.transport.close()
            return
        self.transport.write(self.request())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if length > MAX_ANSWER_BYTES:
            self.load.unexpected.append(f"an answer of {length} bytes")
            self.transport.close()
            return
        if len(rest) < length or (b"chunked" in head and not rest.endswith(b"0\r\n\r\n")):
            return
        if head[9:12] == self.expect:
            self.load.answered += 1
            self.load.latencies.append(time.perf_counter() - self.sent_at)
        elif len(self.load.unexpected) < 5:
            self.load.unexpected.append((head[:15] + b" " + rest[:300]).decode(errors="replace"))
        self.buffer = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self.load.unexpected.append(f"connection lost: {error}")
        if not self.done.done():
            self.done.set_result(None)


async def _run(port: int, request: Callable[[], bytes], expect: bytes, seconds: float, connections: int) -> Load:
    load = Load()
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    protocols = [
        (
            await loop.create_connection(
                lambda: _Connection(load, request, expect, started + seconds), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(protocol.done for protocol in protocols)), seconds + 60)
    load.seconds = time.perf_counter() - started
    return load


def run(port: int, request: Callable[[], bytes], *, expect: int, seconds: float, connections: int = 16) -> Load:
    """Ask 127.0.0.1:`port` for `seconds`; `request` yields each request's bytes. Answers of another status are kept."""
    return asyncio.run(_run(port, request, str(expect).encode(), seconds, connections))


def http(method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """Return the bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
