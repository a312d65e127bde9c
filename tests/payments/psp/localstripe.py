"""localstripe as a process of its own: a Stripe API that is not ours, in an environment that is not ours.

It is GPL, so it is installed beside the project, never into it, and only spoken to over HTTP. The environment
is made once and again when its pins change. Its own start-up is left out: it listens on every interface and
keeps its state in one fixed file of the machine, which two test runs would share.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests import apart
from tests.sandbox_process import free_port

PINS = Path(__file__).resolve().parents[2] / "localstripe.txt"
START_SECONDS = 20
LAUNCH = """
import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda self: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""


@contextmanager
def running() -> Iterator[str]:
    """Run localstripe and give its address."""
    port = free_port()
    process = subprocess.Popen([str(apart.python_of("localstripe", PINS)), "-c", LAUNCH, str(port)])
    url = f"http://127.0.0.1:{port}"
    give_up_at = time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                requests.get(url, timeout=2)
                break
            except requests.ConnectionError:
                if process.poll() is not None or time.monotonic() > give_up_at:
                    raise
                time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
