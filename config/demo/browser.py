"""A buyer's browser without a screen: pages, forms, buttons, redirects, the refresh of a waiting page.

It runs no script and keeps cookies per site, so what works here works for everybody. It reads pages with the standard
library's parser; it must never guess an address that is not on the page.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import requests

TIMEOUT_SECONDS: Final = 30.0
MAX_REFRESHES: Final = 200
LONGEST_REFRESH_SECONDS: Final = 0.25  # a page says 1 or 2 seconds; we look more often than a person would

type Attributes = list[tuple[str, str | None]]


class PageLacks(Exception):
    """The page does not hold what the buyer looks for."""


@dataclass(frozen=True, slots=True)
class Button:
    """A submit button: what it is called inside the form, and what the buyer reads on it."""

    name: str
    value: str
    label: str


@dataclass(slots=True)
class Form:
    """A form with its hidden fields and its buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows."""

    address: str
    status: int
    title: str
    heading: str
    text: str
    forms: tuple[Form, ...]
    refresh: str | None

    def button(self, word: str) -> tuple[Form, Button]:
        """Find a button by its value or by the first word that it shows."""
        for form in self.forms:
            for button in form.buttons:
                if button.value == word or button.label.lower().startswith(word.lower()):
                    return form, button
        shown = ", ".join(button.label for form in self.forms for button in form.buttons)
        raise PageLacks(f"no button {word!r} on {self.heading!r} (there is: {shown or 'none'})")


class Browser:
    """One buyer's browser."""

    def __init__(self, *, over: Callable[[], bool] = lambda: False) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._over = over

    def open(self, address: str) -> Page:
        """Go to an address and follow its redirects."""
        return self._shown(self._session.get(address, timeout=TIMEOUT_SECONDS))

    def press(self, page: Page, word: str) -> Page:
        """Press a button and follow where it leads."""
        form, button = page.button(word)
        values = dict(form.fields)
        if button.name:
            values[button.name] = button.value
        address = urljoin(page.address, form.action)
        headers = {"Referer": page.address}
        if form.method == "post":
            answer = self._session.post(address, data=values, headers=headers, timeout=TIMEOUT_SECONDS)
        else:
            answer = self._session.get(address, params=values, headers=headers, timeout=TIMEOUT_SECONDS)
        return self._shown(answer)

    def wait(self, page: Page, is_there: Callable[[Page], bool], *, seconds: float) -> Page:
        """Let a page that refreshes itself do so until it is as wanted."""
        until = time.monotonic() + seconds
        for _ in range(MAX_REFRESHES):
            if is_there(page):
                return page
            if page.refresh is None:
                raise PageLacks(f"{page.heading!r} will not change by itself: {page.text[:200]!r}")
            if time.monotonic() > until or self._over():
                break
            time.sleep(LONGEST_REFRESH_SECONDS)
            page = self.open(page.refresh)
        raise PageLacks(f"{page.heading!r} has not changed in {seconds:.0f} s")

    def _shown(self, answer: requests.Response) -> Page:
        reader = _Reader()
        reader.feed(answer.text)
        asked = answer.headers.get("Refresh") or reader.refresh
        if answer.status_code >= 400:
            raise PageLacks(f"{answer.status_code} for {reader.heading.strip() or answer.url!r}")
        return Page(
            address=answer.url,
            status=answer.status_code,
            title=reader.title.strip(),
            heading=" ".join(reader.heading.split()),
            text=" ".join(" ".join(reader.words).split()),
            forms=tuple(reader.forms),
            refresh=_refresh_address(answer.url, asked),
        )


def _refresh_address(address: str, asked: str | None) -> str | None:
    """Read `2; url=/there`; without an address the page itself is loaded again."""
    if not asked:
        return None
    _, _, target = asked.partition(";")
    name, _, value = target.strip().partition("=")
    return urljoin(address, value.strip(" '\"")) if name.strip().lower() == "url" else address


class _Reader(HTMLParser):
    """Gathers title, words, forms and the refresh of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.heading = ""
        self.words: list[str] = []
        self.forms: list[Form] = []
        self.refresh: str | None = None
        self._form: Form | None = None
        self._button: tuple[str, str] | None = None
        self._label: list[str] = []
        self._unread = ""
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Open an element."""
        given = {name: value or "" for name, value in attrs}
        if tag in ("title", "style", "script"):
            self._unread = tag
        elif tag == "h1":
            self._in_heading = True
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.refresh = given.get("content")
        elif tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None
        kind, name = given.get("type", "submit" if tag == "button" else "text").lower(), given.get("name", "")
        if tag == "button" and kind == "submit":
            self._button, self._label = (name, given.get("value", "")), []
        elif tag == "input" and kind == "submit":
            self._form.buttons.append(Button(name, given.get("value", ""), given.get("value", "")))
        elif tag == "input" and name and (kind not in ("radio", "checkbox") or "checked" in given):
            self._form.fields[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if tag == self._unread:
            self._unread = ""
        elif tag == "h1":
            self._in_heading = False
        elif tag == "form":
            self._form = None
        elif tag == "button" and self._button is not None:
            if self._form is not None:
                self._form.buttons.append(Button(*self._button, " ".join("".join(self._label).split())))
            self._button = None

    def handle_data(self, data: str) -> None:
        """Read text."""
        if self._unread == "title":
            self.title += data
        elif not self._unread:
            self.words.append(data)
            if self._in_heading:
                self.heading += data
            if self._button is not None:
                self._label.append(data)
