"""Rows read in bulk are the ORM's rows; rows written in bulk are what the instances say."""

from __future__ import annotations

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from payments.models import Charge, PaymentEvent, PaymentOrder, PspAccount, PspOperation
from payments.models.bulk import StaleRows, read_rows, update_rows
from tests.shop import Shop

_MODELS: list[type[models.Model]] = [PaymentEvent, Charge, PaymentOrder, PspAccount, PspOperation]


@pytest.mark.parametrize("model", _MODELS)
def test_what_is_read_in_bulk_is_what_the_orm_reads(shop: Shop, model: type[models.Model]) -> None:
    shop.buy(1000, 500, metadata={"a": ["ä", None, 1.5], "b": {}})
    shop.buy(700, token="pm_card_chargeDeclined")
    shop.work()
    expected = list(model._default_manager.order_by("pk"))
    found = read_rows(model, "id", [row.pk for row in reversed(expected)])
    assert found == expected
    for row, other in zip(found, expected, strict=True):
        assert {field.attname: getattr(row, field.attname) for field in model._meta.concrete_fields} == {
            field.attname: getattr(other, field.attname) for field in model._meta.concrete_fields
        }
        assert (row._state.adding, row._state.db) == (False, "default")


def test_rows_are_locked_by_one_statement_in_the_order_of_their_ids(shop: Shop) -> None:
    events = [shop.buy(1000).pk for _ in range(3)]
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        rows = read_rows(PaymentEvent, "id", reversed(events), lock=True)
    assert [row.pk for row in rows] == sorted(events)
    (sql,) = [query["sql"] for query in captured.captured_queries if "SELECT" in query["sql"]]
    assert sql.endswith("ORDER BY t.id FOR NO KEY UPDATE OF t")


def test_what_is_written_in_bulk_is_read_back(shop: Shop) -> None:
    event = shop.buy(1000)
    charge = Charge.objects.get(event=event)
    charge.failure = {"code": 'it\'s "quoted"', "message": "ä\\n\n", "nested": [None, {"x": 1.5}]}
    charge.next_action, charge.session_url, charge.due_at = None, "a'b\"c\\", event.created_at
    with transaction.atomic():
        update_rows([charge], ("failure", "next_action", "session_url", "due_at"))
    stored = Charge.objects.get(pk=charge.pk)
    assert (stored.failure, stored.next_action) == (charge.failure, None)
    assert (stored.session_url, stored.due_at) == (charge.session_url, event.created_at)
    assert Charge.objects.filter(pk=charge.pk, next_action__isnull=True).exists(), "None is NULL and not a JSON null"


def test_a_row_that_is_gone_fails_the_whole_batch(shop: Shop) -> None:
    charge = Charge.objects.get(event=shop.buy(1000))
    charge.pk = 10**12
    with pytest.raises(StaleRows), transaction.atomic():
        update_rows([charge], ("session_url",))
