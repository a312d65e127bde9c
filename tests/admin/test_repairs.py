"""Repairs: who may start one, that it happens together with its audit row, and that a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from config import seam
from payments import repairs
from payments.errors import InvalidState, NotFound
from payments.models import Charge, PspOperation
from tests.admin.story import Story


def repair_address(story: Story, name: str) -> tuple[str, object]:
    """Return where a repair of the story is asked for, and the row that it changes."""
    rows = {
        "retry": (story.dead, "payments_pspoperation_retry"),
        "requery": (story.unknown.charge, "payments_charge_requery"),
        "replay": (story.notification, "payments_pspnotification_replay"),
    }
    row, page = rows[name]
    return reverse(f"admin:{page}", args=[row.pk]), row


def state_of(row: object) -> dict[str, object]:
    return type(row).objects.filter(pk=row.pk).values().get()


every_repair = pytest.mark.parametrize("name", ["retry", "requery", "replay"])


@every_repair
def test_an_operator_is_asked_first_and_then_it_happens_with_an_audit_row(
    name: str, story: Story, operator: Client
) -> None:
    address, row = repair_address(story, name)
    before = state_of(row)
    asked = operator.get(address)
    assert asked.status_code == 200
    assert 'method="post"' in asked.content.decode()
    assert state_of(row) == before
    started = seam.now()
    answer = operator.post(address, follow=True)
    assert answer.status_code == 200
    assert "within seconds" in answer.content.decode()
    after = state_of(row)
    assert started <= after["due_at"] <= seam.now()
    assert after["tries"] == before["tries"]
    assert after.get("dead_at") is None
    audit = LogEntry.objects.get()
    assert (audit.user.username, audit.object_id) == ("a-operator", str(row.pk))
    assert audit.get_change_message()


@every_repair
@pytest.mark.parametrize("role", ["viewer", "nobody"])
def test_whoever_may_not_operate_is_refused_by_the_server_and_sees_no_button(
    name: str, role: str, story: Story, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(role)
    address, row = repair_address(story, name)
    before = state_of(row)
    assert client.get(address).status_code == 403
    assert client.post(address).status_code == 403
    assert state_of(row) == before
    assert not LogEntry.objects.exists()
    page = client.get(address.removesuffix(f"{name}/") + "change/")
    assert page.status_code == (200 if role == "viewer" else 403)
    assert address not in page.content.decode()


@every_repair
def test_a_form_of_another_site_is_refused(name: str, story: Story, signed_in: Callable[..., Client]) -> None:
    address, row = repair_address(story, name)
    before = state_of(row)
    assert signed_in("operator", strict=True).post(address).status_code == 403
    assert state_of(row) == before


@every_repair
def test_without_its_audit_row_a_repair_does_not_happen(
    name: str, story: Story, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("the audit trail is broken")

    address, row = repair_address(story, name)
    before = state_of(row)
    monkeypatch.setattr(LogEntry.objects, "create", fail)
    with pytest.raises(RuntimeError):
        operator.post(address)
    assert state_of(row) == before


def test_a_refusal_is_told_and_leaves_no_trace(story: Story, operator: Client) -> None:
    done = PspOperation.objects.filter(state="DONE").first()
    before = state_of(done)
    answer = operator.post(reverse("admin:payments_pspoperation_retry", args=[done.pk]), follow=True)
    assert "has ended" in answer.content.decode()
    assert state_of(done) == before
    assert not LogEntry.objects.exists()


def test_a_dead_operation_that_was_sent_is_asked_about_first(story: Story) -> None:
    now = seam.now()
    revived = repairs.retry_operation(story.dead.pk, actor="user:x", now=now)
    assert (revived.state, revived.due_at, revived.dead_at) == ("UNKNOWN", now, None)
    assert revived.idempotency_key == story.dead.idempotency_key


def test_a_dead_operation_that_was_never_sent_starts_from_the_beginning(story: Story) -> None:
    PspOperation.objects.filter(pk=story.dead.pk).update(first_sent_at=None)
    assert repairs.retry_operation(story.dead.pk, actor="user:x", now=seam.now()).state == "PREPARED"


def test_a_retry_does_not_take_the_lease_of_whoever_is_at_it(story: Story) -> None:
    until = seam.now() + timedelta(seconds=30)
    PspOperation.objects.filter(pk=story.unknown.pk).update(lease_until=until, fence=7)
    repairs.retry_operation(story.unknown.pk, actor="user:x", now=seam.now())
    after = PspOperation.objects.get(pk=story.unknown.pk)
    assert (after.lease_until, after.fence) == (until, 7)


def test_what_makes_no_sense_is_refused(story: Story) -> None:
    now = seam.now()
    waiting = PspOperation.objects.filter(pk=story.unknown.pk)
    waiting.update(state="PREPARED", due_at=None)
    with pytest.raises(InvalidState, match="waits for another"):
        repairs.retry_operation(story.unknown.pk, actor="user:x", now=now)
    with pytest.raises(InvalidState, match="has ended"):
        repairs.requery_charge(story.paid.charges.get().pk, actor="user:x", now=now)
    with pytest.raises(InvalidState, match="no object"):
        repairs.requery_charge(story.waiting.charges.get().pk, actor="user:x", now=now)
    for repair in (repairs.retry_operation, repairs.requery_charge, repairs.replay_notification):
        with pytest.raises(NotFound):
            repair(0, actor="user:x", now=now)
    assert waiting.get().due_at is None


def test_a_processed_notification_is_not_replayed(story: Story) -> None:
    story.notification.processed_at = seam.now()
    story.notification.save(update_fields=["processed_at"])
    with pytest.raises(InvalidState, match="was processed"):
        repairs.replay_notification(story.notification.pk, actor="user:x", now=seam.now())


def test_a_declined_charge_can_be_asked_about(story: Story) -> None:
    charge = story.declined.charges.get()
    assert charge.status == Charge.Status.FAILED
    now = seam.now()
    assert repairs.requery_charge(charge.pk, actor="user:x", now=now).due_at == now


def test_a_repair_locks_the_row_it_changes(story: Story) -> None:
    with CaptureQueriesContext(connection) as queries:
        repairs.retry_operation(story.dead.pk, actor="user:x", now=seam.now())
    assert any("FOR NO KEY UPDATE" in query["sql"] for query in queries.captured_queries)
