"""Start the sandbox: `python -m sandbox.psp --port 4242 [--host 127.0.0.1] [--data DIR]`."""

import argparse
import logging
from pathlib import Path

from aiohttp import web

from .sandbox import Settings
from .server import create_app


def main() -> None:
    """Read the command line and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.psp", description="A PSP that speaks Stripe's dialect.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, help="where its books are kept; without it they are temporary")
    parser.add_argument("--public-url", help="the address that buyers' browsers use, if not the one of the request")
    parser.add_argument("--qr-seconds", type=float, default=2.0, help="how long a QR payment is processing")
    parser.add_argument("--delayed-seconds", type=float, default=5.0, help="how long a delayed payment is processing")
    parser.add_argument("--payout-seconds", type=float, default=2.0, help="how long a payout is on its way")
    parser.add_argument("--verify-books", action="store_true", help="check its ledger after every request (slow)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings(
        data_dir=given.data,
        qr_seconds=given.qr_seconds,
        delayed_seconds=given.delayed_seconds,
        payout_seconds=given.payout_seconds,
        verify_books=given.verify_books,
        public_url=given.public_url.rstrip("/") if given.public_url else None,
    )
    web.run_app(
        create_app(settings=settings),
        host=given.host,
        port=given.port,
        access_log=None,
        shutdown_timeout=1.0,
        backlog=1024,
        print=None,
    )


if __name__ == "__main__":
    main()
