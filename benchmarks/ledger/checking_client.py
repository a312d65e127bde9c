"""Run every check of the books and print the violations, in a process of its own: the benchmark has no Django."""

import json
from dataclasses import asdict

import django


def main() -> None:
    """Print one line of JSON: the list of violations."""
    django.setup()
    from ledger import invariants

    print(json.dumps([asdict(violation) for violation in invariants.violations()]))


if __name__ == "__main__":
    main()
