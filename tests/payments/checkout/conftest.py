"""The shop whose buyers use the hosted page."""

from tests.sandbox_process import sandbox_psp
from tests.shop import shop

__all__ = ["sandbox_psp", "shop"]
