"""The base of our views in the REST framework."""

from typing import ClassVar

from rest_framework.views import APIView


class Resource(APIView):
    """A view that says which scope each of its methods needs: `scopes = {"GET": "payments:read"}`."""

    scopes: ClassVar[dict[str, str]]
