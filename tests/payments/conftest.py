"""Fixtures for the tests of payments: a PSP of their own, whose clock no journey has moved."""

from tests.sandbox_process import sandbox_psp

__all__ = ["sandbox_psp"]
