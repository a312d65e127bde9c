"""`document_machines`: the state diagrams of the documentation, drawn from the transition methods.

A diagram drawn by hand lies as soon as a transition is added. This one is written from the same edges that
the migration gives to the database trigger, and a test compares the file with them. It reads no table.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django_fsm import FSMField

from payments.models import BankFile, Charge, Dispute, PaymentOrder, Payout, Refund
from payments.models.machines import Machine

PAGE = Path("docs/reference/state-machines.md")
MACHINES: tuple[type[Machine], ...] = (PaymentOrder, Charge, Refund, Dispute, Payout, BankFile)
_HEAD = """# State machines

<!-- Written by `./florin document_machines` from the transition methods of payments/models; do not edit. -->

The code declares each edge once, as a transition method. A migration copies the edges into the table
`payments_allowedtransition`. A trigger on each table looks every change of status up there and refuses what
is not listed with SQLSTATE `FL020`, whoever makes the change. The same trigger writes one row of
`payments_transition` for each change: the history.

An arrow from `[*]` is a state in which a row may be born. The status of a payment is no machine: it is
derived from its orders and charges ([statuses](statuses.md)).
"""


def page() -> str:
    """Return the whole page as the code says it today."""
    return "\n".join([_HEAD, *(_section(model) for model in MACHINES)])


def _section(model: type[Machine]) -> str:
    births = [f"    [*] --> {state}" for state in model.__dict__["INITIAL"]]
    arrows, rows = [], []
    for source, target, method, says in _edges(model):
        arrows.append(f"    {source} --> {target} : {method}")
        rows.append(f"| `{source}` | `{target}` | `{method}` | {says} |")
    return "\n".join(
        [
            f"## {model.__name__}",
            "",
            f"Table `{model._meta.db_table}`.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *births,
            *arrows,
            "```",
            "",
            "| from | to | method | what it says |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _edges(model: type[Machine]) -> list[tuple[str, str, str, str]]:
    """Return (source, target, method, its docstring's first line), in the order of the declared states."""
    (field,) = (one for one in model._meta.concrete_fields if isinstance(one, FSMField))
    order = {str(value): place for place, (value, _label) in enumerate(field.flatchoices)}
    found = [
        (
            str(edge.source),
            str(edge.target),
            edge.method.__name__,
            (edge.method.__doc__ or "").partition("\n")[0],
        )
        for edge in field.get_all_transitions(model)
    ]
    return sorted(found, key=lambda edge: (order[edge[0]], order[edge[1]], edge[2]))


class Command(BaseCommand):
    """Write the page, or say whether it is up to date."""

    help = f"Write {PAGE} from the transition methods (--check: only compare, exit code 1 when it differs)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the switches."""
        parser.add_argument("--check", action="store_true", help="compare and write nothing")

    def handle(self, *_args: Any, check: bool, **_options: Any) -> None:
        """Write or compare."""
        path = settings.BASE_DIR / PAGE
        if not check:
            path.write_text(page())
            self.stdout.write(f"{PAGE} written")
        elif not path.exists() or path.read_text() != page():
            self.stderr.write(f"{PAGE} differs from the code; run ./florin document_machines")
            raise SystemExit(1)
