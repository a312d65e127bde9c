"""`./florin create_operator NAME`: someone who may sign in to the back office, with a password shown once."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

ROLES = ("viewer", "operator", "approver", "admin")
_PASSWORD_BYTES = 18


class Command(BaseCommand):
    """Create a user of the back office."""

    help = "Create a user of the back office and print a generated password once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name, the role, and the form of the answer."""
        parser.add_argument("name", help="user name to sign in with")
        parser.add_argument(
            "--role",
            choices=ROLES,
            default="operator",
            help=(
                "viewer: sees; operator (default): may also retry, replay and propose journals;"
                " approver: may approve them and close periods; admin: all of it, and sees the users"
            ),
        )
        parser.add_argument("--new-password", action="store_true", help="give an existing user a new password")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Create the user, or give an existing one a new password; refuses to change a role by the way."""
        name, role = options["name"], options["role"]
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        with transaction.atomic():
            user = User.objects.select_for_update().filter(username=name).first()
            if options["new_password"]:
                if user is None:
                    raise CommandError(f"there is no user {name!r}")
                user.set_password(password)
                user.save(update_fields=["password"])
                role = "admin" if user.is_superuser else user.groups.values_list("name", flat=True).first()
            elif user is not None:
                raise CommandError(f"{name!r} exists already; --new-password gives a new password")
            else:
                self._create(name, role, password)
        if options["json"]:
            self.stdout.write(json.dumps({"name": name, "role": role, "password": password}))
        else:
            self.stdout.write(f"{name} ({role}) may sign in with the password {password}\nIt is not shown again.")

    @staticmethod
    def _create(name: str, role: str, password: str) -> None:
        user = User(username=name, is_staff=True, is_superuser=role == "admin")
        try:
            user.full_clean(exclude=["password"])
        except ValidationError as error:
            raise CommandError(f"{name!r} is not a user name: {' '.join(error.messages)}") from error
        user.set_password(password)
        user.save()
        if role != "admin":
            user.groups.add(Group.objects.get(name=role))
