"""Whole stories, told against real PostgreSQL and the sandbox PSP."""

from tests.bank import bank
from tests.market import market
from tests.sandbox_process import sandbox_psp
from tests.shop import shop

__all__ = ["bank", "market", "sandbox_psp", "shop"]
