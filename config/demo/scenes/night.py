"""The night: the PSP's settlement file of the day is compared with what we did; every difference is found and named.

Played last and alone, when everything else has ended: what it finds is what was planted, and nothing else. Somebody
pays at the PSP for nothing that we sold; the PSP takes a fee that stands alone, and money under a word that nobody
knows; and the settlement file comes with a wrong amount in one line. The last needs nobody: the same night asks the PSP
itself, whose own record replaces the line.
"""

from typing import Final

from config.demo.shopper import Json
from config.demo.stage import Say, Scene, Stage, Told, expect

UNKNOWN_MINOR: Final = 4200
FEE_MINOR: Final = 250
STRANGE_MINOR: Final = 125
WAIT_SECONDS: Final = 60.0
FORMAT: Final = "stripe_balance_change"
PLANTED: Final = ["A02", "A11", "A19"]


def night(stage: Stage, say: Say) -> Told:
    """Hand the PSP's file in, wait for the run, and look at what it found."""
    psp = stage.market.psp
    psp.pay_for_nothing(UNKNOWN_MINOR, "eur")
    psp.take("tax", FEE_MINOR, "eur")
    psp.take("lunar_adjustment", STRANGE_MINOR, "eur")
    refund = next(row for row in psp.books()["refunds"] if row["currency"] == "eur")
    say("somebody pays 42.00 EUR at the PSP for nothing; it takes a tax, and 1.25 EUR that it calls lunar_adjustment")
    file = psp.settlement_file(damage="wrong_amount", of=str(refund["id"]))
    asked = stage.shopper.upload("/reconciliation/files", "settlement.csv", file, format=FORMAT, source="stripe")
    say(f"its settlement file has a wrong line; received: {asked['id']}")
    run = stage.shopper.wait_for(f"/reconciliation/runs/{asked['id']}", _has_ended, seconds=WAIT_SECONDS)
    found = list(stage.shopper.pages("/reconciliation/breaks"))
    for one in sorted(found, key=lambda one: str(one["code"])):
        say(f"{one['code']} {one['name']}, {one['amount']} {one['currency']}: {one['detail']}; {_ending(one)}")
    expect(run["status"] == "finished", f"the run ended as {run['status']}: {run['error']}")
    codes = sorted(one["code"] for one in found)
    left = sorted(one["code"] for one in found if one["status"] != "resolved")
    expect(codes == PLANTED, f"planted were {PLANTED}, found {codes}")
    expect(left == ["A02", "A19"], f"a person is needed for {left}")
    wrong = [one for one in run["identities"] if not one["holds"]]
    expect(run["verdict"] == "BREAKS" and not run["incomplete"] and not wrong, f"{run['verdict']}, open: {wrong}")
    sentence = (
        f"{run['counts']['lines']} lines explained to the cent; the tax is booked; two breaks wait for a person: "
        "42.00 EUR that nobody can name, in suspense, and 1.25 EUR under a strange word"
    )
    figures = {"run": run["id"], "verdict": run["verdict"], "lines": run["counts"]["lines"], "found": codes}
    residuals = {f"{one['name']} {one['currency']}": one["residual"] for one in run["identities"]}
    return Told(sentence, {**figures, "left": left, "matched": run["counts"]["matched"], "residuals": residuals})


def _has_ended(run: Json) -> bool:
    return run["status"] in ("finished", "failed")


def _ending(one: Json) -> str:
    return f"resolved: {one['resolution']}" if one["status"] == "resolved" else "a person is needed"


LAST: Final = Scene("night", night)
