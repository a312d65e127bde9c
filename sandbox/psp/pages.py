"""The pages that a buyer sees."""

from aiohttp import web

from .sandbox import Sandbox


def add_routes(router: web.UrlDispatcher, sandbox: Sandbox) -> None:
    """Put the pages on their paths."""
