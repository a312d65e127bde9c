"""What sealing and checking cost: CPU per transaction over a backlog, and what is left of posting beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.ledger import load
from benchmarks.ledger.shapes import Shapes
from config.local_stack.home import ROOT

CLIENT = "benchmarks.ledger.upkeep_client"
SECONDS = 900


def measured(shapes: Shapes, seconds: float, *, fully: bool) -> None:
    """Seal and check everything posted so far, which is noted per transaction; then post with both beside."""
    server = shapes.server
    server.settle("florin")
    spent = server.cpu_seconds()
    with _client(shapes, "backlog") as client:
        said = _answer(client)
    spent = server.cpu_seconds() - spent
    if said["sealed"] and said["checked"]:
        both = min(said["sealed"], said["checked"])
        shapes.figures.add("sealing and checking a backlog: server CPU, us per transaction", spent * 1e6 / both)
        for word, number in (("seal", said["sealed"]), ("check", said["checked"])):
            shapes.figures.add(f"{word}: client CPU, us per transaction", said["spent"][word] * 1e6 / number)

    def beside(for_seconds: float) -> load.Result:
        with _client(shapes, "beside") as client:
            result = shapes.uniform(for_seconds)
            said = _answer(client)
        if said["sealed"] != result.total or said["checked"] != result.total:
            shapes.wrong.append(f"uniform_kept: {result.total} were posted, {said} says the upkeep")
        return result

    shapes.measure("uniform_kept", beside, seconds, fully=fully)


@contextmanager
def _client(shapes: Shapes, word: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-W", "ignore", "-m", CLIENT, word]
    client = subprocess.Popen(
        words, env=shapes.server.environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert client.stdout is not None
        if client.stdout.readline().strip() != "ready":
            raise SystemExit(f"{CLIENT} did not get ready")
        yield client
    finally:
        client.kill()
        client.wait()


def _answer(client: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = client.communicate("stop\n", timeout=SECONDS)
    if client.returncode != 0:
        raise SystemExit(f"{CLIENT} failed")
    answer: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return answer
