"""A view that does nothing, and the payment endpoint as a DRF tutorial would write it: same checks, same rows."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework import authentication, exceptions, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.payments.anchors.models import Checkout, Client, Key, Line, Outgoing


def nothing(_request: HttpRequest) -> HttpResponse:
    """Answer at once."""
    return HttpResponse(b'{"ok":true}', content_type="application/json", headers={"Content-Length": "11"})


class KeyAuthentication(authentication.BaseAuthentication):
    """Find the client by its key."""

    def authenticate(self, request: Request) -> tuple[Client, None]:
        """Return the client, or refuse."""
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            return Client.objects.get(key=key), None
        except Client.DoesNotExist:
            raise exceptions.AuthenticationFailed from None


class LineSerializer(serializers.ModelSerializer[Line]):
    """One order."""

    class Meta:
        model = Line
        fields = ("id", "seller", "amount", "reference", "status")
        read_only_fields = ("id", "status")


class CheckoutSerializer(serializers.ModelSerializer[Checkout]):
    """A checkout with its orders."""

    payment_orders = LineSerializer(many=True)

    class Meta:
        model = Checkout
        fields = ("id", "checkout_id", "currency", "status", "buyer", "created_at", "payment_orders")
        read_only_fields = ("id", "status", "created_at")

    def create(self, validated_data: dict[str, object]) -> Checkout:
        """Write the checkout, its orders and its event."""
        lines = validated_data.pop("payment_orders")
        checkout = Checkout.objects.create(client=self.context["request"].user, **validated_data)
        assert isinstance(lines, list)
        for line in lines:
            Line.objects.create(checkout=checkout, **line)
        Outgoing.objects.create(topic="payment.created", payload={"checkout": str(checkout.pk)})
        return checkout


class Checkouts(viewsets.ModelViewSet[Checkout]):
    """The endpoint."""

    queryset = Checkout.objects.all()
    serializer_class = CheckoutSerializer
    authentication_classes = (KeyAuthentication,)

    def create(self, request: Request, *_args: object, **_kwargs: object) -> Response:
        """Accept a checkout once per idempotency key."""
        with transaction.atomic():
            key, is_new = Key.objects.get_or_create(client=request.user, key=request.headers["Idempotency-Key"])
            if not is_new:
                return Response(key.answer, status=status.HTTP_201_CREATED)
            serializer = self.get_serializer(data=request.data)
            serializer.is_valid(raise_exception=True)
            serializer.save()
            key.answer = {**serializer.data, "id": str(serializer.data["id"])}
            key.answer["payment_orders"] = [
                dict(line, seller=str(line["seller"])) for line in key.answer["payment_orders"]
            ]
            key.save()
        return Response(serializer.data, status=status.HTTP_201_CREATED)
