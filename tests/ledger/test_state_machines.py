"""The database has the last word on state machines: no edge that the code does not declare, and a history of each."""

from __future__ import annotations

from collections import deque
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django_fsm import TransitionNotAllowed

from payments import invariants
from payments.models import (
    AllowedTransition,
    BankFile,
    BankInstruction,
    Charge,
    Dispute,
    PaymentOrder,
    Payout,
    Refund,
    Transition,
)
from payments.models.machines import Machine, edges
from tests import factories
from tests.database import Clone
from tests.ledger.desk import sqlstate_of

ILLEGAL, HISTORY, DENIED, REFERENCED = "FL020", "FL021", "42501", "23503"
FACTORIES: dict[type[Machine], Any] = {
    PaymentOrder: factories.PaymentOrderFactory,
    Charge: factories.ChargeFactory,
    Refund: factories.RefundFactory,
    Dispute: factories.DisputeFactory,
    Payout: factories.PayoutFactory,
    BankFile: factories.BankFileFactory,
}
MACHINES = list(FACTORIES)
# What else a row needs to be in a state, because of its other constraints.
ALONG: dict[tuple[type[Machine], str], dict[str, Any]] = {
    (PaymentOrder, "SUCCESS"): {"captured_minor": 1},
    (Refund, "succeeded"): {"settled_at": factories.NOW},
    (Payout, "cancelled"): {"transfer_psp_id": ""},
    **{(Payout, state): {"transfer_psp_id": "tr_1"} for state in ("sent", "paid", "failed", "returned")},
    (BankFile, "ready"): {"approved_by": "user:checker", "approved_at": factories.NOW},
}


def states(model: type[Machine]) -> list[str]:
    """Return every state that the model knows."""
    return [str(state) for state in model.Status]  # type: ignore[attr-defined]


def initial(model: type[Machine]) -> list[str]:
    """Return the states in which a row may be born."""
    return [str(state) for state in model.INITIAL]  # type: ignore[attr-defined]


def set_status(model: type[Machine], pk: int, state: str) -> None:
    """Go around django-fsm, as a bulk update or a shell would."""
    model._default_manager.filter(pk=pk).update(status=state, **ALONG.get((model, state), {}))
    if (model, state) == (BankFile, "withdrawn"):
        BankInstruction.objects.filter(file=pk).update(withdrawn_at=factories.NOW)


def walk_to(model: type[Machine], state: str) -> Machine:
    """Make a row and lead it to a state along legal edges."""
    paths: dict[str, list[str]] = {start: [start] for start in initial(model)}
    queue = deque(paths)
    while queue:
        here = queue.popleft()
        for source, target in sorted(edges(model)):
            if source == here and target not in paths:
                paths[target] = [*paths[here], target]
                queue.append(target)
    start, *steps = paths[state]
    row: Machine = FACTORIES[model].create(status=start)
    for step in steps:
        set_status(model, row.pk, step)
    return row


def history(model: type[Machine], pk: int) -> list[tuple[str, str]]:
    """Return the recorded changes of a row."""
    rows = Transition.objects.filter(machine=model._meta.db_table, object_id=pk).order_by("id")
    return list(rows.values_list("source", "target"))


@pytest.mark.django_db
def test_the_database_knows_exactly_the_edges_of_the_code() -> None:
    listed = set(AllowedTransition.objects.values_list("machine", "source", "target"))
    declared = {
        (model._meta.db_table, source, target)
        for model in MACHINES
        for source, target in edges(model) | {("", state) for state in initial(model)}
    }
    assert listed == declared


@pytest.mark.django_db
@pytest.mark.parametrize("model", MACHINES, ids=lambda model: model.__name__)
def test_every_legal_edge_passes_and_leaves_one_row_of_history(model: type[Machine]) -> None:
    for source, target in sorted(edges(model)):
        row = walk_to(model, source)
        before = history(model, row.pk)
        set_status(model, row.pk, target)
        assert history(model, row.pk) == [*before, (source, target)]


@pytest.mark.django_db
@pytest.mark.parametrize("model", MACHINES, ids=lambda model: model.__name__)
def test_every_other_edge_is_refused_and_leaves_nothing(model: type[Machine]) -> None:
    """All pairs of states, through the ORM's bulk update and through raw SQL."""
    for source in states(model):
        row = walk_to(model, source)
        before = history(model, row.pk)
        for target in states(model):
            if target == source or (source, target) in edges(model):
                continue
            along = ALONG.get((model, target), {})
            more = "".join(f", {column} = %s" for column in along)
            statement = f"UPDATE {model._meta.db_table} SET status = %s{more} WHERE id = %s"
            with pytest.raises(DatabaseError) as caught, transaction.atomic():
                set_status(model, row.pk, target)
            assert sqlstate_of(caught.value) == ILLEGAL
            with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement, [target, *along.values(), row.pk])
            assert sqlstate_of(caught.value) == ILLEGAL
        assert model._default_manager.get(pk=row.pk).status == source  # type: ignore[attr-defined]
        assert history(model, row.pk) == before


@pytest.mark.django_db
@pytest.mark.parametrize("model", MACHINES, ids=lambda model: model.__name__)
def test_a_row_is_born_in_an_initial_state_only(model: type[Machine]) -> None:
    for state in states(model):
        if state in initial(model):
            assert FACTORIES[model].create(status=state).status == state
            continue
        before = model._default_manager.count()
        with pytest.raises(DatabaseError) as caught, transaction.atomic():
            FACTORIES[model].create(status=state, **ALONG.get((model, state), {}))
        assert sqlstate_of(caught.value) == ILLEGAL
        assert model._default_manager.count() == before


@pytest.mark.django_db
def test_an_unknown_state_is_refused() -> None:
    order = factories.PaymentOrderFactory.create()
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        set_status(PaymentOrder, order.pk, "PAID")
    assert sqlstate_of(caught.value) == ILLEGAL


@pytest.mark.django_db
def test_one_illegal_row_refuses_the_whole_statement() -> None:
    good = walk_to(PaymentOrder, "NOT_STARTED")
    bad = walk_to(PaymentOrder, "CANCELLED")
    with pytest.raises(DatabaseError), transaction.atomic():
        PaymentOrder.objects.filter(pk__in=[good.pk, bad.pk]).update(status="EXECUTING")
    assert history(PaymentOrder, good.pk) == []
    assert history(PaymentOrder, bad.pk) == [("NOT_STARTED", "CANCELLED")]


@pytest.mark.django_db
def test_a_batch_writes_one_row_of_history_each_and_none_for_rows_that_stay() -> None:
    moving = [walk_to(PaymentOrder, "NOT_STARTED").pk for _ in range(20)]
    staying = [walk_to(PaymentOrder, "EXECUTING").pk for _ in range(3)]
    before = Transition.objects.count()
    PaymentOrder.objects.filter(pk__in=[*moving, *staying]).update(status="EXECUTING")
    written = Transition.objects.order_by("id")[before:]
    assert [(row.object_id, row.source, row.target) for row in written] == [
        (pk, "NOT_STARTED", "EXECUTING") for pk in moving
    ]


@pytest.mark.django_db
def test_a_change_of_something_else_writes_no_history() -> None:
    order = walk_to(PaymentOrder, "EXECUTING")
    before = history(PaymentOrder, order.pk)
    PaymentOrder.objects.filter(pk=order.pk).update(description="Kettle", status="EXECUTING")
    assert history(PaymentOrder, order.pk) == before


@pytest.mark.django_db
def test_python_refuses_first() -> None:
    order = factories.PaymentOrderFactory.create()
    with pytest.raises(AttributeError):
        order.status = "SUCCESS"
    cancelled = PaymentOrder.objects.get(pk=walk_to(PaymentOrder, "CANCELLED").pk)
    with pytest.raises(TransitionNotAllowed):
        cancelled.executing()
    assert cancelled.status == "CANCELLED"


@pytest.mark.django_db
def test_a_refreshed_row_has_the_state_of_the_database_and_stays_protected() -> None:
    order = factories.PaymentOrderFactory.create()
    set_status(PaymentOrder, order.pk, "EXECUTING")
    order.refresh_from_db()
    assert order.status == "EXECUTING"
    with pytest.raises(AttributeError):
        order.status = "SUCCESS"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO payments_transition (machine, object_id, source, target) VALUES ('x', 1, 'a', 'b')",
        "UPDATE payments_transition SET target = 'SUCCESS'",
        "DELETE FROM payments_transition",
        "TRUNCATE payments_transition",
        "INSERT INTO payments_allowedtransition (machine, source, target) VALUES ('payments_charge', 'x', 'y')",
        "UPDATE payments_allowedtransition SET target = 'SUCCESS'",
        "DELETE FROM payments_allowedtransition",
        "TRUNCATE payments_allowedtransition",
        "UPDATE payments_clockshift SET shift = '1 day'",
        "ALTER TABLE payments_paymentorder DISABLE TRIGGER transitions_are_legal",
        "DELETE FROM payments_paymentorder",
        "DELETE FROM payments_charge",
        "TRUNCATE payments_refund CASCADE",
    ],
)
def test_the_runtime_role_cannot_touch_history_or_rules(clone: Clone, statement: str) -> None:
    with psycopg.connect(clone.app_url) as attacker, pytest.raises(psycopg.Error) as caught:
        attacker.execute(statement)
    assert caught.value.sqlstate == DENIED


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_transition SET target = 'SUCCESS'",
        "DELETE FROM payments_transition",
        "TRUNCATE payments_transition",
    ],
)
def test_history_is_not_edited_by_the_owner_either(clone: Clone, statement: str) -> None:
    with psycopg.connect(clone.owner_url) as attacker, pytest.raises(psycopg.Error) as caught:
        attacker.execute(statement)
    assert caught.value.sqlstate == HISTORY


def test_a_state_that_was_changed_behind_the_triggers_is_found(
    committed_db: Clone, superuser: psycopg.Connection
) -> None:
    order = walk_to(PaymentOrder, "EXECUTING")
    with superuser.transaction():
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute("UPDATE payments_paymentorder SET status = 'FAILED' WHERE id = %s", [order.pk])
    found = {violation.check for violation in invariants.check().violations}
    assert "history_ends_in_the_present" in found


@pytest.mark.django_db
@pytest.mark.parametrize("model", MACHINES, ids=lambda model: model.__name__)
def test_a_row_cannot_leave_its_history_behind_by_changing_its_id(model: type[Machine]) -> None:
    row = walk_to(model, initial(model)[0])
    before = Transition.objects.count()
    last = states(model)[-1]
    changes = {"id": row.pk + 10**9, "status": last, **ALONG.get((model, last), {})}
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        model._default_manager.filter(pk=row.pk).update(**changes)
    assert sqlstate_of(caught.value) in (ILLEGAL, REFERENCED)
    assert model._default_manager.filter(pk=row.pk).exists()
    assert Transition.objects.count() == before
