"""The night: the PSP's settlement file of the day is compared with what we did; every difference is found and named.

Played last and alone, when everything else has ended: what it finds is what was planted, and nothing else. Somebody
pays at the PSP for nothing that we sold, and the file comes with a wrong amount in one line. The file that the PSP
sends instead is right; what is left then is the unknown money, in suspense, in front of a person.
"""

from collections.abc import Sequence
from typing import Any, Final

from config.demo.shopper import Json
from config.demo.stage import Say, Scene, Stage, Told, expect

UNKNOWN_MINOR: Final = 4200
WAIT_SECONDS: Final = 60.0
FORMAT: Final = "stripe_balance_change"


def night(stage: Stage, say: Say) -> Told:
    """Compare the day with the PSP's file: first with a wrong one, then with the right one."""
    psp = stage.market.psp
    psp.pay_for_nothing(UNKNOWN_MINOR, "eur")
    charges = [row for row in psp.books()["charges"] if row["currency"] == "eur" and row["metadata"]]
    wrong = psp.settlement_file(damage="wrong_amount", of=str(charges[0]["id"]))
    say(f"somebody paid {UNKNOWN_MINOR / 100:.2f} EUR at the PSP for nothing that we sold; the file has a wrong amount")
    first = _receive(stage, "settlement.csv", wrong)
    breaks = _breaks(stage)
    codes = sorted(found["code"] for found in breaks)
    expect(first["verdict"] == "BREAKS", f"the verdict of the wrong file is {first['verdict']}: {first['incomplete']}")
    expect(codes == ["A02", "A04"], f"the night finds {_words(breaks)}")
    for found in breaks:
        say(f"{found['code']} {found['name']}: {found['amount']} {found['currency']}, {found['detail']}")
    say("the PSP sends the file again, and right")
    second = _receive(stage, "settlement-corrected.csv", psp.settlement_file())
    left = _breaks(stage)
    expect([found["code"] for found in left] == ["A02"], f"after the corrected file {_words(left)} are left")
    open_ = [one for one in second["identities"] if not one["holds"]]
    expect(not open_, f"identities that do not close: {open_}")
    matched = sum(second["counts"]["matched"].values())
    sentence = (
        f"{second['counts']['lines']} lines explained, every identity closes; one break is left, "
        f"{UNKNOWN_MINOR / 100:.2f} EUR that nobody can name, in suspense"
    )
    return Told(
        sentence,
        {
            "run": second["id"],
            "verdict": second["verdict"],
            "lines": second["counts"]["lines"],
            "matched": matched,
            "found": codes,
            "left": [found["code"] for found in left],
            "identities": {f"{one['name']} {one['currency']}": one["residual"] for one in second["identities"]},
        },
    )


def _receive(stage: Stage, name: str, content: bytes) -> Json:
    """Upload a settlement file, and wait for the run that it asks for."""
    run = stage.shopper.upload("/reconciliation/files", name, content, format=FORMAT, source="psp")
    return stage.shopper.wait_for(
        f"/reconciliation/runs/{run['id']}",
        lambda found: found["status"] in ("finished", "failed"),
        seconds=WAIT_SECONDS,
    )


def _breaks(stage: Stage) -> list[Json]:
    return [found for found in stage.shopper.pages("/reconciliation/breaks") if found["status"] != "resolved"]


def _words(breaks: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{found['code']} ({found['detail']})" for found in breaks) or "nothing"


LAST: Final = Scene("night", night)
