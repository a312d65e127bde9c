"""Fixtures of the back office: the office's addresses and middleware, and someone of each role, signed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from config import seam
from config import settings as project
from tests.admin.story import Story, tell


@pytest.fixture(autouse=True)
def office(settings: Settings) -> None:
    """Serve what the office process serves."""
    settings.ROOT_URLCONF = "config.urls_office"
    settings.MIDDLEWARE = project.OFFICE_MIDDLEWARE
    settings.WHITENOISE_USE_FINDERS = False
    settings.STATIC_ROOT = str(project.BASE_DIR / "config" / "static")
    settings.DOORBELLS = False


@pytest.fixture
def story(db: None) -> Story:
    """Give a small marketplace with something of everything."""
    return tell(seam.now())


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    """Sign someone in: `signed_in("viewer")`, `"operator"`, `"admin"`, or `"nobody"` with no role at all."""

    def sign_in(role: str, *, strict: bool = False) -> Client:
        user = User.objects.create(username=f"a-{role}", is_staff=True, is_superuser=role == "admin")
        if role not in {"admin", "nobody"}:
            user.groups.add(Group.objects.get(name=role))
        client = Client(enforce_csrf_checks=strict)
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def viewer(signed_in: Callable[..., Client]) -> Client:
    """Give a browser in which a viewer is signed in."""
    return signed_in("viewer")


@pytest.fixture
def operator(signed_in: Callable[..., Client]) -> Client:
    """Give a browser in which an operator is signed in."""
    return signed_in("operator")


@pytest.fixture
def administrator(signed_in: Callable[..., Client]) -> Client:
    """Give a browser in which someone with every right is signed in."""
    return signed_in("admin")
