"""The reference page tells of every operation, token, fault and control request that exists."""

from sandbox.psp.faults import FIELDS, REQUEST_KINDS, WEBHOOK_KINDS
from sandbox.psp.operations import OPERATIONS
from sandbox.psp.tokens import TOKENS
from tests.sandbox_process import ROOT

PAGE = (ROOT / "docs" / "reference" / "sandbox.md").read_text()


def test_every_name_is_explained() -> None:
    names = {*OPERATIONS, *TOKENS, *FIELDS, *REQUEST_KINDS, *WEBHOOK_KINDS}
    assert {name for name in names if f"| `{name}` |" not in PAGE} == set()


def test_every_path_is_right() -> None:
    paths = {f"`{one.method} /v1/{one.path.replace('*', '{id}')}`" for one in OPERATIONS.values()}
    assert {path for path in paths if path not in PAGE} == set()


def test_every_control_request_is_explained() -> None:
    source = (ROOT / "sandbox" / "psp" / "control.py").read_text()
    for name in ("health", "books", "faults", "clock", "disputes", "webhooks", "webhooks/resend", "reset"):
        assert f'"{name}"' in source
        assert name in PAGE
