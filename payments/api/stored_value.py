"""What a buyer keeps with the merchant. Paying with it is `payments`', refunding into it is `refunds`'."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from payments import buyers, representations
from payments.api import documentation
from payments.api.authentication import caller_of
from payments.api.resource import Resource


class BuyerStoredValue(Resource):
    """`/buyers/{id}/stored-value`; the id is the merchant's own."""

    scopes: ClassVar[dict[str, str]] = {"GET": "wallet:read"}

    @extend_schema(**documentation.GET_STORED_VALUE)
    def get(self, request: Request, buyer_id: str) -> Response:
        """Read what a buyer has, per currency. Who never had anything has nothing: an empty list."""
        book_id = caller_of(request).book_id
        balances = buyers.balances_of(book_id, buyer_id)
        return Response(representations.stored_value(buyer_id, balances, enabled=buyers.is_on(book_id)))
