"""No input, however odd, is answered with a server error, and a refusal never leaves a row."""

from __future__ import annotations

import copy
import json
from typing import Any

from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.payments.api.conftest import Api, count_rows

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(["19.99", "EUR", "JPY", "ann", "single", "pm_card_visa", "\x00", "\ud800", "4242424242424242"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FEW = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STATUSES = {200, 201, 202, 400, 404, 405, 409, 411, 413, 415, 422}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a document."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += places(item, (*path, number))
    return found


def check(api: Api, method: str, address: str, body: bytes, **headers: str) -> None:
    """Send anything; it must be answered, and nothing may be left of what was refused."""
    before = count_rows()
    with transaction.atomic():
        response = api.send(method, address, body, **headers)
        assert response.status_code in STATUSES, (body, response.content)
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"
            json.loads(response.content)
            assert count_rows() == before, (body, response.content)
        transaction.set_rollback(True)


@FEW
@given(data=st.data())
def test_a_checkout_with_odd_values_is_answered(api: Api, checkout: dict[str, Any], data: st.DataObject) -> None:
    body = copy.deepcopy(checkout)
    for _ in range(data.draw(st.integers(1, 3))):
        *steps, last = data.draw(st.sampled_from(places(body)))
        place = body
        for step in steps:
            place = place[step]
        place[last] = data.draw(ODD)
    check(api, "POST", "payments", json.dumps(body).encode(), **{"Idempotency-Key": "k"})
    bulk = {"payments": [body | {"idempotency_key": "b"}, data.draw(ODD)]}
    check(api, "POST", "payments/bulk", json.dumps(bulk).encode())


@FEW
@given(
    body=st.binary(max_size=200) | ODD.map(lambda value: json.dumps(value).encode()),
    place=st.sampled_from(
        ["payments", "payments/bulk", "sellers", "merchants", "payments/x/process", "payments/x/capture"]
    ),
    key=st.text(max_size=10, alphabet=st.characters(codec="latin-1", exclude_characters="\r\n")),
)
def test_any_body_is_answered(api: Api, body: bytes, place: str, key: str) -> None:
    before = count_rows()
    response = api.send("POST", place, body, **{"Idempotency-Key": key})
    assert response.status_code in STATUSES | {403}, response.content
    assert count_rows() == before


@FEW
@given(
    query=st.text(
        max_size=60, alphabet=st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="#")
    ),
    name=st.sampled_from(
        ["", "limit=", "cursor=", "status=", "checkout_id=", "created_after=", "seller=", "prefix=", "at=", "from="]
    ),
    place=st.sampled_from(
        ["payments", "payment-orders", "sellers", "ledger/accounts", "ledger/transactions", "ledger/trial-balance"]
    ),
)
def test_any_query_is_answered(api: Api, query: str, name: str, place: str) -> None:
    response = api.client.get(
        f"/api/v1/{place}", QUERY_STRING=f"{name}{query}", headers={"Authorization": f"Bearer {api.key}"}
    )
    assert response.status_code in STATUSES, (query, response.content)
