"""The base of our views in the REST framework."""

from typing import ClassVar

from rest_framework.views import APIView

from payments.api import json_body


class Resource(APIView):
    """A view that says which scope each of its methods needs: `scopes = {"GET": "payments:read"}`."""

    scopes: ClassVar[dict[str, str]]
    # How large a body may be.
    limit_bytes: ClassVar[int] = json_body.LIMIT_BYTES
