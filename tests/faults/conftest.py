"""Faults: the process dies, the PSP misbehaves, the broker and the database go away."""

from tests.bank import bank
from tests.market import market
from tests.sandbox_process import sandbox_psp
from tests.shop import shop

__all__ = ["bank", "market", "sandbox_psp", "shop"]
