"""Check the proof of a ledger transaction, without Florin and without its database.

    python verify_proof.py PROOF.json --key BASE64 [--head HEADS.jsonl]

PROOF.json is the answer of GET /api/v1/ledger/transactions/{id}/proof, BASE64 the public key that you trust,
HEADS.jsonl heads that you kept. Needs the package `cryptography`. Exit code 0: proved. The bytes are described in
docs/reference/seals.md.
"""

import argparse
import base64
import hashlib
import json
import struct
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TEXT, BYTES, UUID, INT2, INT4, INT8, INSTANT = 25, 17, 2950, 21, 23, 20, 1184
DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


def encode(kind, value):
    if value is None or kind == BYTES:
        return value
    if kind == TEXT:
        return value.encode()
    if kind == UUID:
        return sum(DIGITS.index(digit) << 5 * n for n, digit in enumerate(reversed(value[4:]))).to_bytes(16)
    if kind == INSTANT and isinstance(value, str):
        value = (datetime.fromisoformat(value) - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return int(value).to_bytes({INT2: 2, INT4: 4}.get(kind, 8), signed=True)


def record(*fields):
    parts = [struct.pack("!i", len(fields))]
    for kind, value in fields:
        data = encode(kind, value)
        parts += [struct.pack("!ii", kind, -1 if data is None else len(data)), data or b""]
    return b"".join(parts)


def leaf_hash(shown):
    legs = [
        record((INT2, leg["number"]), *((TEXT, leg[name]) for name in ("account", "type", "currency", "side")),
               *((INT8, leg[name]) for name in ("amount_minor", "account_version", "balance_after_minor")))
        for leg in shown["legs"]
    ]  # fmt: skip
    return hashlib.sha256(b"\x00" + record(
        (TEXT, "florin.transaction.1"), (TEXT, shown["book"]), (UUID, shown["id"]), (TEXT, shown["kind"]),
        (TEXT, shown["reference"]), (BYTES, bytes.fromhex(shown["request_hash"])), (INT2, shown["leg_count"]),
        *((INSTANT, shown[name]) for name in ("effective_at", "occurred_at", "posted_at")),
        *((TEXT, shown[name]) for name in ("actor", "memo", "metadata")),
        (UUID, shown["reverses"]), (BYTES, b"".join(legs)))).digest()  # fmt: skip


def root_hash(found, at, last, path):
    while last > 0:
        if at % 2 or at < last:  # else it is alone on its level and moves up as it is
            beside = bytes.fromhex(path.pop(0))
            found = hashlib.sha256(b"\x01" + (beside + found if at % 2 else found + beside)).digest()
        at, last = at // 2, last // 2
    return found


def block_hash(block):
    return hashlib.sha256(b"\x02" + record(
        (BYTES, b"florin.block.1"), (BYTES, block["book"].encode()), (INT8, block["number"]),
        (BYTES, bytes.fromhex(block["previous_hash"])), (BYTES, bytes.fromhex(block["root"])),
        (INT4, block["leaf_count"]), (INT8, block["first_position"]), (INT8, block["last_position"]),
        (INSTANT, block["sealed_at"]), (BYTES, block["key_id"].encode()))).digest()  # fmt: skip


def problem(proof, public_key, heads):
    block, shown, path = proof["block"], proof["transaction"], list(proof["path"])
    if not 0 <= proof["index"] < block["leaf_count"] or shown["book"] != block["book"]:
        return "the place is not one of this block"
    if root_hash(leaf_hash(shown), proof["index"], block["leaf_count"] - 1, path).hex() != block["root"] or path:
        return "the transaction is not the one that was sealed: it does not lead to the root"
    if block_hash(block).hex() != block["block_hash"]:
        return "the block does not have its hash"
    try:
        signed = b"florin.seal.1\x00" + bytes.fromhex(block["block_hash"])
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(block["signature"]), signed)
    except InvalidSignature:
        return "the block is not signed with the key that you trust"
    same = [head for head in heads if (head["book"], head["number"]) == (block["book"], block["number"])]
    if heads and [head["block_hash"] for head in same] != [block["block_hash"]] * max(1, len(same)):
        return "the heads that you kept do not have this block"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("proof", type=Path)
    parser.add_argument("--key", required=True, type=base64.b64decode, help="public key, 32 bytes in base64")
    parser.add_argument("--head", type=Path, help="file of heads, one a line")
    options = parser.parse_args()
    heads = [json.loads(line) for line in options.head.read_text().splitlines()] if options.head else []
    try:
        wrong = problem(json.loads(options.proof.read_text()), options.key, heads)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, struct.error) as error:
        wrong = f"this is no proof ({type(error).__name__}: {error})"
    print(f"NOT PROVED: {wrong}" if wrong else "Proved.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
