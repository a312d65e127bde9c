"""What of a refund or a dispute was changed back into the order's currency for it."""

from django.db import migrations, models
from django.db.models import F, Q

from ledger.ids import parse_public_id, public_id


def note_what_was_changed_back(apps, schema_editor):
    """Fill the columns for what was changed back before they were there."""
    database = schema_editor.connection.alias
    entries = apps.get_model("ledger", "Entry").objects.using(database)
    refunds = apps.get_model("payments", "Refund").objects.using(database)
    taken = entries.filter(transaction__kind="unconvert", side="C", account__code__contains=":available:")
    for reference, amount in taken.values_list("transaction__reference", "amount"):
        refund = parse_public_id("rfd", reference.partition(":")[2])
        refunds.filter(public_id=refund).update(changed_back_minor=amount)
    quotes = apps.get_model("wallet", "Quote").objects.using(database)
    conversions = apps.get_model("payments", "OrderConversion").objects.using(database)
    for quote in quotes.filter(undone_margin_minor__gt=0):
        of_order = refunds.filter(order_id__in=conversions.filter(quote_id=quote.pk).values("order_id"))
        names = [f"unconvert:{public_id('rfd', value)}" for value in of_order.values_list("public_id", flat=True)]
        given = entries.filter(transaction__reference__in=names, transaction__book_id=quote.book_id, side="D")
        sums = given.filter(account__code__startswith="fees:fx:").aggregate(total=models.Sum("amount"))
        quotes.filter(pk=quote.pk).update(undone_kept_minor=quote.undone_margin_minor - (sums["total"] or 0))


class Migration(migrations.Migration):
    dependencies = [("payments", "0018_looks"), ("wallet", "0006_kept_margins")]

    operations = [
        migrations.AddField("refund", "changed_back_minor", models.BigIntegerField(db_default=0)),
        migrations.AddConstraint(
            "refund",
            models.CheckConstraint(
                condition=Q(changed_back_minor__gte=0, changed_back_minor__lte=F("from_available_minor")),
                name="refund_changes_back_what_it_takes",
            ),
        ),
        migrations.RunPython(note_what_was_changed_back, migrations.RunPython.noop),
        migrations.AddField("disputepart", "changed_back_minor", models.BigIntegerField(db_default=0, default=0)),
        migrations.AddConstraint(
            "disputepart",
            models.CheckConstraint(
                condition=Q(changed_back_minor__gte=0, changed_back_minor__lte=F("available_minor")),
                name="dispute_part_changes_back_what_it_takes",
            ),
        ),
    ]
