"""What the bank answers to a file: pain.002, with the state of every transfer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from .money import written
from .orders import Order, Payment, Transfer

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"
ORIGINAL: Final = "pain.001.001.09"


def report(order: Order, *, number: str, now: float, fault: str = "") -> str:
    """Write the answer to a file; `fault` is the reason why it was refused as a whole."""
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    transfers = list(order.transfers())
    refused = sum(1 for one in transfers if one.reason)
    state = "RJCT" if fault or (refused and refused == len(transfers)) else "PART" if refused else "ACSC"
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        f'<Document xmlns="{NAMESPACE}"><CstmrPmtStsRpt>\n',
        f"<GrpHdr><MsgId>{escape(number)}</MsgId><CreDtTm>{moment}</CreDtTm></GrpHdr>\n",
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{escape(order.message)}</OrgnlMsgId>",
        f"<OrgnlMsgNmId>{order.schema.rpartition(':')[2] or ORIGINAL}</OrgnlMsgNmId>",
        f"<OrgnlNbOfTxs>{len(transfers)}</OrgnlNbOfTxs><GrpSts>{state}</GrpSts>{_reason(fault)}</OrgnlGrpInfAndSts>\n",
        *(() if fault else (_payment(payment) for payment in order.payments)),
        "</CstmrPmtStsRpt></Document>\n",
    ]
    return "".join(parts)


def _reason(code: str) -> str:
    return f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>" if code else ""


def _payment(payment: Payment) -> str:
    inner = "".join(_transfer(one) for one in payment.transfers)
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{escape(payment.identity)}</OrgnlPmtInfId>\n{inner}</OrgnlPmtInfAndSts>\n"
    )


def _transfer(transfer: Transfer) -> str:
    instruction = f"<OrgnlInstrId>{escape(transfer.instruction)}</OrgnlInstrId>" if transfer.instruction else ""
    amount = (
        f'<OrgnlTxRef><Amt><InstdAmt Ccy="{escape(transfer.currency)}">{written(transfer.amount, transfer.currency)}'
        "</InstdAmt></Amt></OrgnlTxRef>"
    )
    return (
        f"<TxInfAndSts>{instruction}<OrgnlEndToEndId>{escape(transfer.end_to_end)}</OrgnlEndToEndId>"
        f"<TxSts>{'RJCT' if transfer.reason else 'ACSC'}</TxSts>{_reason(transfer.reason)}{amount}</TxInfAndSts>\n"
    )
