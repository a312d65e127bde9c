"""`./florin seals`: seal now, check the seals, export them, check an export without a database, show the keys."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import seam
from ledger.seals import check, export, keys, offline, sealing
from ledger.seals.check import Report
from ledger.seals.keys import UnusableKey
from payments import seal_anchor


class Command(BaseCommand):
    """Parse, one call, present. Exit code 1 with findings."""

    help = "Seal the books, check and export their seals."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the words."""
        words = parser.add_subparsers(dest="word", required=True)
        words.add_parser("seal", help="seal what is committed, and publish the heads")
        verify = words.add_parser("verify", help="check the database, or with --offline an export, against the seals")
        verify.add_argument("--book", metavar="CODE", help="only this book")
        verify.add_argument("--offline", type=Path, metavar="FILE", help="check this export; no database is asked")
        verify.add_argument(
            "--head", type=Path, action="append", metavar="FILE", help="published heads to compare with (repeatable)"
        )
        verify.add_argument(
            "--key", action="append", default=[], metavar="KEY", help="public key to trust: base64 or PEM (repeatable)"
        )
        verify.add_argument("--json", action="store_true", help="print one line of JSON")
        exported = words.add_parser("export", help="write keys, blocks and transactions as lines of JSON")
        exported.add_argument("file", type=Path)
        exported.add_argument("--book", metavar="CODE", help="only this book")
        words.add_parser("keys", help="print the public keys: the current one, those trusted, those that were used")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what the word says."""
        try:
            match options["word"]:
                case "seal":
                    self._seal()
                case "verify":
                    self._verify(options)
                case "export":
                    self._export(options["file"], options["book"])
                case _:
                    self._keys()
        except UnusableKey as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None

    def _seal(self) -> None:
        if keys.signer() is None:
            raise CommandError("FLORIN_SEAL_KEY is not set: nothing can be sealed")
        sealed = done = seal_anchor.seal_and_publish(now=seam.now())
        while done >= sealing.TRANSACTIONS_PER_STEP:
            done = seal_anchor.seal_and_publish(now=seam.now())
            sealed += done
        tail = sealing.unsealed()
        self.stdout.write(f"{sealed} transactions sealed, {tail.transactions} wait for one that is still running")

    def _verify(self, options: dict[str, Any]) -> None:
        given = keys.by_id(keys.read_public(key) for key in options["key"])
        if options["offline"]:
            report = offline.check_file(options["offline"], trusted=given, head_files=options["head"] or [])
        else:
            if options["book"] and not check.books(options["book"]):
                raise CommandError(f"there is no book {options['book']}")
            report = check.check(
                trusted=keys.trusted() | given,
                book=options["book"],
                head_files=seal_anchor.head_files() if options["head"] is None else options["head"],
            )
        self._present(report, as_json=options["json"])
        if report.findings:
            raise SystemExit(1)

    def _present(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            shown = {"ok": not report.findings, **asdict(report)}
            since = report.unsealed_since
            shown["unsealed_since"] = None if since is None else since.isoformat()
            self.stdout.write(json.dumps(shown))
            return
        for finding in report.findings:
            self.stdout.write(self.style.ERROR(f"{finding.what}: {finding}"))
        if len(report.findings) >= check.MAX_FINDINGS:
            self.stdout.write("There may be more: this list ends here.")
        covered = f"{report.books} books, {report.blocks} blocks, {report.transactions} transactions"
        verdict = f"{len(report.findings)} findings" if report.findings else "As sealed"
        self.stdout.write(f"{verdict} ({covered}).")
        self.stdout.write(f"Not covered: {report.unsealed} transactions that are not sealed yet.")
        if not report.compared_with:
            self.stdout.write(
                "No published heads were compared: blocks cut off at the end would not be noticed (--head)."
            )
        if not report.keys_are_given:
            self.stdout.write("No trusted key was given: the keys beside the seals were believed (--key).")

    def _export(self, path: Path, book: str | None) -> None:
        if book and not check.books(book):
            raise CommandError(f"there is no book {book}")
        written = 0
        with path.open("w", encoding="utf-8") as file:
            for line in export.lines(book=book, now=seam.now()):
                file.write(line)
                written += 1
        self.stdout.write(f"{written} lines in {path}")

    def _keys(self) -> None:
        current = keys.signer()
        trusted, stored = keys.trusted(), check.stored_keys()
        for key_id, public_key in keys.shown(trusted | stored).items():
            words = [
                *(["current"] if current is not None and key_id == current.key_id else []),
                "trusted" if key_id in trusted else "not trusted",
                *(["has signed"] if key_id in stored else []),
            ]
            self.stdout.write(f"{key_id}  {public_key}  {', '.join(words)}")
