"""Put load on the server for a while, by pgbench or by client processes, and say what came of it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ledger.server import program
from config.local_stack.home import ROOT

CLIENTS = 8
WARM_UP = 0.2  # of a slice: sessions make their plans in it
GRACE_SECONDS = 120
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Result:
    """What a slice did. `total` counts every posting that was committed, the rate only those after the warm-up."""

    total: int
    per_second: float
    p50_ms: float
    p99_ms: float


def pgbench(url: str, script: str | None, seconds: float, first: int) -> Result:
    """Run a script, or TPC-B without one, with eight prepared clients; at least one second, the unit of pgbench."""
    whole = max(1, math.ceil(seconds))
    with tempfile.TemporaryDirectory(prefix="florin-bench-") as directory:
        words = [program("pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(whole), "-l"]
        if script is not None:
            path = Path(directory) / "script.sql"
            path.write_text(script)
            words += ["-f", str(path), "-D", f"n={first}"]
        answer = subprocess.run(
            [*words, url], cwd=directory, capture_output=True, text=True, timeout=whole + GRACE_SECONDS, check=False
        )
        if answer.returncode != 0 or "ERROR" in answer.stderr:
            raise SystemExit(f"pgbench failed: {answer.stderr.strip()[-2000:]}")
        rows = [
            (float(epoch) + float(micros) / 1e6, int(latency))
            for path in Path(directory).glob("pgbench_log.*")
            for _, _, latency, _, epoch, micros, *_ in (line.split() for line in path.read_text().splitlines())
        ]
    ended = max(when for when, _ in rows)
    warm = ended - whole * (1 - WARM_UP)
    counted = [latency for when, latency in rows if when > warm]
    return _result(len(rows), len(counted) / (ended - warm), counted)


def clients(
    module: str,
    given: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    python: str = sys.executable,
) -> Result:
    """Run a process of `module` for each set of arguments; all start their clocks together (see clock.py)."""
    running = [
        subprocess.Popen(
            [python, "-W", "ignore", "-m", module, json.dumps(dict(one))],
            env=dict(environment), cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for one in given
    ]  # fmt: skip
    try:
        for process in running:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise SystemExit(f"{module} did not get ready")
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = []
        for process in running:
            said, _ = process.communicate(timeout=GRACE_SECONDS)
            if process.returncode != 0:
                raise SystemExit(f"{module} failed")
            answers.append(json.loads(said.strip().splitlines()[-1]))
    finally:
        for process in running:
            process.kill()
            process.wait()
    rate = sum(answer["counted"] / answer["seconds"] for answer in answers if answer["seconds"])
    return _result(sum(answer["postings"] for answer in answers), rate, [t for a in answers for t in a["micros"]])


def watched(work: Callable[[], Result], look: Callable[[], int]) -> tuple[Result, int]:
    """Do the work, look a few times a second while it runs, and return its result and the most that was seen."""
    seen = [0]
    ended = threading.Event()

    def keep_looking() -> None:
        while not ended.wait(LOOK_SECONDS):
            seen.append(look())

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        result = work()
    finally:
        ended.set()
        thread.join()
    return result, max(seen)


def _result(total: int, per_second: float, micros: list[int]) -> Result:
    if not micros:
        raise SystemExit("a slice was too short to measure anything; give it more seconds")
    micros.sort()
    last = len(micros) - 1
    return Result(total, per_second, micros[round(last * 0.5)] / 1000, micros[round(last * 0.99)] / 1000)
