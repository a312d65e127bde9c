"""Logs: one JSON object a line, with request id and payment id, and with secrets and card numbers taken out.

`configure` is Django's LOGGING_CONFIG; the standard library's loggers and structlog's end in the same renderer.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_NAMES = re.compile(r"authorization|secret|token|password|api_key|signature|cookie|iban", re.IGNORECASE)
_SECRET_VALUES = re.compile(r"\b(?:sk|rk|pk)_(?:test|live)_[A-Za-z0-9]+|\bwhsec_[A-Za-z0-9+/=_-]+|_secret_[A-Za-z0-9]+")
_CARD_LIKE = re.compile(r"(?<![0-9])(?:[0-9][ -]?){12,18}[0-9](?![0-9])")
_REDACTED = "[redacted]"
_MAX_DEPTH = 6


def _clean(value: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        return _REDACTED
    if isinstance(value, str):
        return _CARD_LIKE.sub(_REDACTED, _SECRET_VALUES.sub(_REDACTED, value))
    if isinstance(value, dict):
        return {
            key: _REDACTED if _SECRET_NAMES.search(str(key)) else _clean(item, depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item, depth + 1) for item in value]
    return value


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets, tokens and anything that looks like a card number out of a log record."""
    return {key: _REDACTED if _SECRET_NAMES.search(key) else _clean(value) for key, value in event.items()}


def configure(options: dict[str, Any]) -> None:
    """Send every logger to stderr as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
        redact,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.get("level", "INFO"))
    # The SDK and the HTTP client log requests at INFO; ours say the same with ids.
    for noisy in ("stripe", "urllib3", "celery.beat", "kombu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-1],
            redact,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
