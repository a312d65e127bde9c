"""Whole stories, told against real PostgreSQL and the sandbox PSP."""

from tests.market import market
from tests.sandbox_process import sandbox_psp
from tests.shop import shop

__all__ = ["market", "sandbox_psp", "shop"]
