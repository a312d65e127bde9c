"""`create_operator`: a user with one role and a generated password that is shown once."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse


def run(*words: str) -> dict[str, str]:
    out = StringIO()
    call_command("create_operator", *words, "--json", stdout=out)
    answer: dict[str, str] = json.loads(out.getvalue())
    return answer


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_user_signs_in_with_the_printed_password_and_has_the_role(role: str, db: None) -> None:
    made = run("anna", "--role", role)
    assert set(made) == {"name", "role", "password"}
    assert len(made["password"]) >= 20
    user = authenticate(username="anna", password=made["password"])
    assert user is not None
    assert list(user.groups.values_list("name", flat=True)) == [role]
    assert not user.is_superuser
    assert user.has_perm("payments.operate_payments") == (role == "operator")
    assert user.has_perm("payments.view_charge")
    assert not user.has_perm("payments.change_charge")


def test_the_password_is_stored_as_a_hash_and_opens_the_login_page(db: None) -> None:
    made = run("anna")
    assert made["password"] not in User.objects.get().password
    client = Client()
    answer = client.post(
        reverse("admin:login"), {"username": "anna", "password": made["password"], "next": reverse("admin:index")}
    )
    assert (answer.status_code, answer.url) == (302, reverse("admin:index"))


def test_an_existing_user_is_left_alone_unless_a_new_password_is_asked_for(db: None) -> None:
    first = run("anna", "--role", "viewer")
    with pytest.raises(CommandError, match="exists already"):
        run("anna", "--role", "admin")
    assert authenticate(username="anna", password=first["password"]) is not None
    assert not User.objects.get().is_superuser
    second = run("anna", "--new-password")
    assert second["role"] == "viewer"
    assert authenticate(username="anna", password=first["password"]) is None
    assert authenticate(username="anna", password=second["password"]) is not None


@pytest.mark.parametrize("name", ["", "a b", "x" * 200])
def test_a_name_that_is_none_is_refused(name: str, db: None) -> None:
    with pytest.raises(CommandError):
        run(name)
    assert not User.objects.exists()


def test_a_new_password_for_nobody_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="there is no user"):
        run("anna", "--new-password")


def test_the_roles_are_what_the_migration_made_them(db: None) -> None:
    rights = {group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()}
    assert rights["operator"] - rights["viewer"] == {
        "operate_payments",
        "make_proposals",
        "answer_disputes",
        "handle_bank_files",
        "handle_breaks",
    }
    assert all(name.startswith("view_") for name in rights["viewer"])
    assert not rights["viewer"] & {"view_apikey", "view_user", "view_idempotencyrecord"}
