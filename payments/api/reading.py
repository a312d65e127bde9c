"""For people who read: the OpenAPI document, its pages, the list of errors, and the files that these pages need.

Everything is served by us. The page of the documentation needs scripts, so it alone is allowed them; the rest of the
web process keeps the strict policy of the settings.
"""

from __future__ import annotations

import functools
import json
import mimetypes
from pathlib import Path
from typing import Final

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from drf_spectacular.generators import SchemaGenerator

from payments.api.errors import method_not_allowed, page_not_found
from payments.errors import CATALOGUE, FIELD_CODES

_SERVED: Final = ("checkout/", "api/", "drf_spectacular_sidecar/swagger-ui-dist/")
_MAX_AGE_SECONDS: Final = 3600
_DOCUMENTATION_POLICY: Final[dict[str, list[str]]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "form-action": [CSP.NONE],
    "base-uri": [CSP.NONE],
}


def schema(_request: HttpRequest) -> HttpResponse:
    """Serve the OpenAPI 3.1 document of `/api/v1`."""
    return HttpResponse(_schema(), content_type="application/json; charset=utf-8")


@functools.cache
def _schema() -> bytes:
    document = SchemaGenerator(api_version="v1").get_schema(request=None, public=True)  # type: ignore[no-untyped-call] # the generator is untyped
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


@csp_override(_DOCUMENTATION_POLICY)
def documentation(_request: HttpRequest) -> HttpResponse:
    """Show the OpenAPI document for people."""
    return HttpResponse(render_to_string("api/docs.html"))


def errors(_request: HttpRequest) -> HttpResponse:
    """List every error code: where `type` of a problem document points to."""
    return HttpResponse(
        render_to_string("api/errors.html", {"errors": CATALOGUE.items(), "fields": FIELD_CODES.items()})
    )


def asset(request: HttpRequest, path: str) -> HttpResponse:
    """Serve a file of our own pages; nothing else that is installed."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET")
    found = _file(path) if path.startswith(_SERVED) else None
    if found is None:
        return page_not_found(request)
    content, content_type = found
    headers = {"Content-Length": str(len(content)), "Cache-Control": f"public, max-age={_MAX_AGE_SECONDS}"}
    return HttpResponse(content, content_type=content_type, headers=headers)


@functools.lru_cache(maxsize=64)
def _file(path: str) -> tuple[bytes, str] | None:
    if ".." in path or "\0" in path:
        return None
    found = finders.find(path)
    if not isinstance(found, str) or not Path(found).is_file():
        return None
    return Path(found).read_bytes(), mimetypes.guess_type(path)[0] or "application/octet-stream"
