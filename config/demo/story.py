"""The story: which scenes are played, and whose shops they need.

The first scene is played alone: its money is at the PSP at once, and payouts are sent from nothing else. The last one
looks back at all of them, when the books were compared. All others are played at the same time. A scene more is one
more module of `config/demo/scenes`, or one more row of a module's `SCENES`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from config.demo.scenes import abroad, bank_file, money_back, money_out, night, paying
from config.demo.stage import Scene, Stage

FIRST: Final[Scene] = money_out.FIRST
LAST: Final[Scene] = night.LAST
SCENES: Final[Sequence[Scene]] = (
    FIRST,
    *paying.SCENES,
    *money_back.SCENES,
    *money_out.SCENES,
    *abroad.SCENES,
    *bank_file.SCENES,
    LAST,
)
SELLERS: Final[Mapping[str, Mapping[str, Any]]] = {
    **paying.SELLERS,
    **money_back.SELLERS,
    **money_out.SELLERS,
    **abroad.SELLERS,
    **bank_file.SELLERS,
}


def open_checkout(stage: Stage) -> str:
    """Make one more checkout, for the person who watches, and return the address of its page."""
    amounts = {"Tea House": "24.00", "Lamp Works": "61.50"}
    return str(stage.shopper.post("/payments", stage.checkout("yours", "EUR", amounts)).body["checkout_url"])
