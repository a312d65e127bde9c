"""Callers: who is behind an API key, with everything that accepting a payment needs, in one statement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from ledger.ids import parse_public_id, public_id
from payments.encryption import unseal

MAX_SELLERS_PER_CALL = 5000


@dataclass(frozen=True, slots=True)
class SellerTerms:
    """A seller and the fee plan that applies to it: basis points, and a fixed part in minor units per currency."""

    id: int
    public_id: UUID
    external_id: str
    basis_points: int
    fixed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a valid API key. A merchant's key belongs to one book; an administrator's to none."""

    key_id: int
    key_public_id: UUID
    merchant_id: int | None
    merchant_public_id: UUID | None
    book_id: int
    mode: str
    scopes: frozenset[str]
    requires_signature: bool
    sealed_signing_secret: bytes
    psp_account_id: int | None
    psp_account_code: str
    house_seller: SellerTerms | None
    sellers: Mapping[str, SellerTerms]

    @property
    def is_administrator(self) -> bool:
        """Say whether the key may create merchants."""
        return self.merchant_id is None

    def signing_secret(self) -> str:
        """Open the secret that this key's requests are signed with."""
        return unseal(self.sealed_signing_secret, identity=f"api_key.signing_secret:{self.key_public_id}")


def hash_key(key: str) -> bytes:
    """Return what is stored of a key. Keys have 256 random bits, so a plain digest cannot be guessed back."""
    return hashlib.sha256(key.encode()).digest()


def _can_be_stored(text: str) -> bool:
    """Say whether the database can hold a text: JSON may escape half a character, and NUL."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def find_caller(key: str, *, seller_refs: Sequence[str] = (), now: datetime) -> Caller | None:
    """Return who holds `key`, and the sellers named by our id (`sel_...`) or the merchant's own id. One statement.

    `None` for a key that is unknown, revoked or expired, or whose merchant is suspended. Sellers that do not exist
    in the caller's book are simply missing from `sellers`.
    """
    by_public_id = {ref: parsed for ref in seller_refs if (parsed := parse_public_id("sel", ref)) is not None}
    external = [ref for ref in seller_refs if ref not in by_public_id and _can_be_stored(ref)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM payments_find_caller(%s, %s, %s::text[], %s::uuid[])",
            [hash_key(key), now, external, list(by_public_id.values())],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    house_id, found = row[11], [_terms(item) for item in json.loads(row[12])]
    sellers: dict[str, SellerTerms] = {}
    wanted = set(seller_refs)
    for terms in found:
        for ref in (terms.external_id, public_id("sel", terms.public_id)):
            if ref in wanted:
                sellers[ref] = terms
    return Caller(
        key_id=row[0],
        key_public_id=row[1],
        merchant_id=row[2],
        merchant_public_id=row[3],
        book_id=row[4],
        mode=row[5],
        scopes=frozenset(row[6]),
        requires_signature=row[7] or row[5] == "live",
        sealed_signing_secret=bytes(row[8]),
        psp_account_id=row[9],
        psp_account_code=row[10],
        house_seller=next((terms for terms in found if terms.id == house_id), None),
        sellers=sellers,
    )


def _terms(item: Mapping[str, Any]) -> SellerTerms:
    return SellerTerms(item["id"], UUID(item["public_id"]), item["external_id"], item["bps"], item["fixed"])
