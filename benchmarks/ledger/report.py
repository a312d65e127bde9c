"""Medians over the rounds, the ratios they are for, and beside each ratio what it should be."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks.ledger import load

# Name, numerator, denominator, gate, goal. A ratio whose parts were not measured is left out.
RATIOS: tuple[tuple[str, str, str, float | None, float | None], ...] = (
    ("(a) uniform / TPC-B", "uniform", "tpc_b", 1.2, 1.6),
    ("(b) checkout / (a) uniform", "checkout", "uniform", 0.95, 1.0),
    ("the same with 1 ms more per flush", "slow_checkout", "slow_uniform", None, 0.9),
    ("(c) bulk 100 / TPC-B", "bulk_100", "tpc_b", 3.5, 7.0),
    ("(c) bulk 1000 / TPC-B", "bulk_1000", "tpc_b", None, None),
    ("(a) uniform / unguarded limit", "uniform", "limit", None, None),
    ("(a) with sealing and checking beside / without", "uniform_kept", "uniform", 0.9, None),
    ("Python, one at a time / hordak", "python_one", "hordak", 5.0, 8.0),
    ("Python, bulk 100 / hordak", "python_100", "hordak", 25.0, 50.0),
    ("(a) uniform / pgledger uniform", "uniform", "pgledger", 3.5, 5.0),
    ("(b) checkout / pgledger hot", "checkout", "pgledger_hot", 7.0, 12.0),
)


@dataclass(slots=True)
class Figures:
    """Every figure of every round, by name."""

    rounds: dict[str, list[float]] = field(default_factory=dict)
    slices: dict[str, list[load.Result]] = field(default_factory=dict)

    def note(self, name: str, result: load.Result) -> None:
        """Keep the result of a slice."""
        self.slices.setdefault(name, []).append(result)

    def add(self, name: str, value: float) -> None:
        """Keep another figure of this round."""
        self.rounds.setdefault(name, []).append(value)


def made(figures: Figures, wrong: list[str], notes: list[str]) -> dict[str, Any]:
    """Return the whole result: rates and latencies, ratios (the median of the rounds' own), the other figures."""
    rates = {
        name: {
            "postings_per_second": round(statistics.median(one.per_second for one in slices), 1),
            "p50_ms": round(statistics.median(one.p50_ms for one in slices), 2),
            "p99_ms": round(statistics.median(one.p99_ms for one in slices), 2),
            "rounds": [round(one.per_second) for one in slices],
        }
        for name, slices in figures.slices.items()
    }
    ratios = {}
    for name, above, below, gate, goal in RATIOS:
        pairs = list(zip(figures.slices.get(above, []), figures.slices.get(below, []), strict=False))
        if pairs:
            value = statistics.median(one.per_second / other.per_second for one, other in pairs)
            ratios[name] = {"value": round(value, 2), "gate": gate, "goal": goal}
    others = {name: round(statistics.median(values), 2) for name, values in figures.rounds.items()}
    memory = {
        name: [round(value, 1) for value in values]
        for name, values in figures.rounds.items()
        if name.endswith("largest session, MB")
    }
    return {"rates": rates, "ratios": ratios, "figures": others, "memory": memory, "notes": notes, "wrong": wrong}


def lines(result: dict[str, Any]) -> list[str]:
    """Lay the result out for reading."""
    out = [f"{'shape or anchor':24} {'postings/s':>11} {'p50 ms':>8} {'p99 ms':>8}   rounds"]
    for name, one in result["rates"].items():
        numbers = f"{one['postings_per_second']:11.0f} {one['p50_ms']:8.2f} {one['p99_ms']:8.2f}"
        out.append(f"{name:24} {numbers}   {one['rounds']}")
    out += ["", f"{'ratio':40} {'measured':>9} {'gate':>6} {'goal':>6}"]
    for name, one in result["ratios"].items():
        gate, goal = (_or_none(one[key]) for key in ("gate", "goal"))
        below = "   below the gate" if one["gate"] is not None and one["value"] < one["gate"] else ""
        out.append(f"{name:40} {one['value']:9.2f} {gate:>6} {goal:>6}{below}")
    out.append("")
    out += [f"{name:50} {value}" for name, value in result["figures"].items()]
    out += ["", "largest session by round (MB): it must not grow with the history"]
    out += [f"  {name.partition(':')[0]:24} {values}" for name, values in result["memory"].items()]
    out += ["", *result["notes"]]
    out.append("the books are right" if not result["wrong"] else "THE BOOKS ARE WRONG:")
    out += result["wrong"]
    return out


def _or_none(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
