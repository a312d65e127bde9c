"""A server on a bare socket that says exactly what it is told: trouble that no HTTP library would make."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

type Script = Callable[[socket.socket], None]


@dataclass
class Scripted:
    """A running server: its address, and the requests that it was sent."""

    url: str
    port: int
    requests: list[bytes] = field(default_factory=list)


def read_request(connection: socket.socket) -> bytes:
    """Read one whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """Write an HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def scripted(*answers: bytes, then: Script | None = None, port: int = 0) -> Iterator[Scripted]:
    """Answer requests with these bytes one after the other, on any connection; then `then`, then hang up."""
    listener = socket.create_server(("127.0.0.1", port))
    server = Scripted(f"http://127.0.0.1:{listener.getsockname()[1]}", listener.getsockname()[1])
    left = list(answers)
    done = threading.Event()
    connections: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while not done.is_set():
                request = read_request(connection)
                if not request:
                    return
                server.requests.append(request)
                if not left:
                    if then is not None:
                        then(connection)
                    return
                connection.sendall(left.pop(0))

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=_quietly, args=(serve, connection), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):  # some are closed already
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _quietly(serve: Script, connection: socket.socket) -> None:
    try:
        serve(connection)
    except OSError:
        return  # the caller hung up first, which some scripts provoke
