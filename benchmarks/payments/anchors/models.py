"""The tables of a payment endpoint as it is usually written."""

import uuid

from django.db import models


class Client(models.Model):
    """Who calls, by key."""

    key = models.CharField(max_length=64, unique=True)


class Vendor(models.Model):
    """Who is paid."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)


class Checkout(models.Model):
    """One checkout."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    checkout_id = models.CharField(max_length=100)
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=20, default="processing")
    buyer = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint("client", "checkout_id", name="anchor_checkout_is_unique")]


class Line(models.Model):
    """One order of a checkout."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    checkout = models.ForeignKey(Checkout, related_name="payment_orders", on_delete=models.CASCADE)
    seller = models.ForeignKey(Vendor, on_delete=models.PROTECT)
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    reference = models.CharField(max_length=100)
    status = models.CharField(max_length=20, default="EXECUTING")


class Key(models.Model):
    """An idempotency key with the first answer."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    answer = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint("client", "key", name="anchor_key_is_unique")]


class Outgoing(models.Model):
    """An event to be published."""

    topic = models.CharField(max_length=50)
    payload = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
