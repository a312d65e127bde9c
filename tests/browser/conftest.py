"""Fixtures for tests in a real browser: the office as a process of its own, and Chromium from the machine.

Playwright only drives: the browser is whatever Chromium the PATH has. Without one, or without Playwright, a test says
so and is skipped. Playwright runs an event loop in the test's thread, so a test reads the database through
`superuser`, not through Django.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from config import seam
from config.local_stack import processes
from config.local_stack.home import ROOT
from tests.admin.story import Story, tell
from tests.database import Clone
from tests.sandbox_process import free_port

SCREENSHOTS = ROOT / ".florin" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",  # root has none, and the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@dataclass
class Office:
    """A running office with the story in its database, and the password of each role."""

    url: str
    story: Story
    passwords: dict[str, str]


@dataclass
class Visit:
    """A browser window in which everything that goes wrong is noted."""

    page: Any
    url: str
    troubles: list[str] = field(default_factory=list)

    def open(self, path: str) -> str:
        """Go to a page of the office and return its text once it stands still."""
        self.page.goto(self.url + path, wait_until="load")
        return self.text()

    def text(self) -> str:
        """Return what a person reads on the page."""
        shown: str = self.page.inner_text("body")
        return shown

    def sign_in(self, name: str, password: str) -> None:
        """Sign in through the login page."""
        self.page.goto(f"{self.url}/admin/", wait_until="load")
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("#login-form button[type=submit]")
        self.page.wait_for_load_state("load")

    def shoot(self, name: str) -> None:
        """Take a picture for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Find a browser, or skip with the reason."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    pytest.skip(f"no browser on the PATH (looked for {', '.join(NAMES)}); Debian: apt install chromium")


@pytest.fixture
def playwright() -> Iterator[Any]:
    """Start Playwright, or skip with the reason."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def office_address(
    chromium: Path, clone: Clone, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run the office as the stack does, on a free port; it keeps nothing between two tests but its connection."""
    port, log = free_port(), tmp_path_factory.mktemp("office") / "office.log"
    program = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    program += ["--no-ws", "--http", "1", "--blocking-threads", "2", "--log-level", "warning"]
    child = processes.start(
        [*program, "config.wsgi_office:application"],
        log=log,
        environment={**os.environ, "FLORIN_DOORBELLS": "off"},
        directory=ROOT,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/admin/login/", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        processes.stop(child)


@pytest.fixture
def office(office_address: str, committed_db: Clone) -> Office:
    """Give the running office with the story committed, and somebody of each role."""
    story = tell(seam.now())
    return Office(office_address, story, {role: _create(role) for role in ("viewer", "operator", "approver")})


def _create(role: str) -> str:
    out = StringIO()
    call_command("create_operator", f"a-{role}", "--role", role, "--json", stdout=out)
    password: str = json.loads(out.getvalue())["password"]
    return password


def _wait(url: str, log: Path) -> None:
    patience = processes.Patience(30, pause_seconds=0.1)
    while patience.lasts():
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, ConnectionError):
            continue
    raise TimeoutError(f"the office does not answer:\n{log.read_text()[-3000:]}")


@pytest.fixture
def visit(office: Office, chromium: Path, playwright: Any) -> Iterator[Visit]:
    """Open a browser window; the test fails if the console, a script or an answer complained meanwhile."""
    browser = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=list(FLAGS))
    try:
        window = browser.new_page(viewport={"width": 1440, "height": 900})
        window.set_default_timeout(20_000)
        visit = Visit(window, office.url)
        window.on("console", lambda message: _note_console(visit, message))
        window.on("pageerror", lambda error: visit.troubles.append(f"script: {error}"))
        window.on("response", lambda answer: _note_answer(visit, answer))
        yield visit
    finally:
        browser.close()


def _note_console(visit: Visit, message: Any) -> None:
    if message.type in {"error", "warning"}:
        visit.troubles.append(f"{message.type} on {visit.page.url}: {message.text}")


def _note_answer(visit: Visit, answer: Any) -> None:
    if answer.status >= 400:
        visit.troubles.append(f"{answer.status}: {answer.url}")
