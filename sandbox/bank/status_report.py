"""What the bank answers to a file: pain.002, with the state that every transfer has by now."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape

from .money import written

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"
# The status of a transfer by its state: booked ones are settled, those of a later day accepted.
STATUSES: Final = {"booked": "ACSC", "returned": "ACSC", "waiting": "ACSP", "rejected": "RJCT"}


def report(
    message: str, transfers: list[dict[str, Any]], *, count: int, number: str, now: float, fault: str = ""
) -> str:
    """Write the answer to a file of so many transfers; `fault` is the reason why it was refused as a whole."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {STATUSES[one["state"]] for one in transfers}
    group = "RJCT" if fault else told.pop() if len(told) == 1 else "PART" if "RJCT" in told else "ACSP"
    blocks = [_block(batch, list(rows)) for batch, rows in groupby(transfers, lambda one: str(one["batch"]))]
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>\n',
            f'<Document xmlns="{NAMESPACE}"><CstmrPmtStsRpt>\n',
            f"<GrpHdr><MsgId>{escape(number)}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>\n",
            f"<OrgnlGrpInfAndSts><OrgnlMsgId>{escape(message)}</OrgnlMsgId><OrgnlMsgNmId>pain.001</OrgnlMsgNmId>",
            f"<OrgnlNbOfTxs>{count}</OrgnlNbOfTxs><GrpSts>{group}</GrpSts>{_reason(fault)}</OrgnlGrpInfAndSts>\n",
            *blocks,
            "</CstmrPmtStsRpt></Document>\n",
        ]
    )


def _reason(code: str) -> str:
    return f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>" if code else ""


def _block(batch: str, transfers: list[dict[str, Any]]) -> str:
    inner = "".join(_transfer(one) for one in transfers)
    return f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{escape(batch)}</OrgnlPmtInfId>\n{inner}</OrgnlPmtInfAndSts>\n"


def _transfer(one: dict[str, Any]) -> str:
    refused = one["state"] == "rejected"
    amount = f'<InstdAmt Ccy="{escape(one["currency"])}">{written(one["amount"], one["currency"])}</InstdAmt>'
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{escape(one['end_to_end'])}</OrgnlEndToEndId>"
        f"<TxSts>{STATUSES[one['state']]}</TxSts>{_reason(one['reason']) if refused else ''}"
        f"<OrgnlTxRef><Amt>{amount}</Amt></OrgnlTxRef></TxInfAndSts>\n"
    )
