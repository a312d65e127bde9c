"""Whole stories, told against real PostgreSQL and the sandbox PSP."""

from tests.sandbox_process import sandbox_psp
from tests.shop import shop

__all__ = ["sandbox_psp", "shop"]
