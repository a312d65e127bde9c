"""The roles of the back office, and the indexes behind its list of what needs a person.

A viewer sees; an operator may also start a repair. Rights are listed one by one: a model that comes later is seen by
nobody until a migration says so. The indexes are partial, on rows that should not exist at all.
"""

from django.db import migrations

OPERATE = ("payments", "pspoperation", "operate_payments", "Can retry, re-query and replay")
SEEN = {
    "ledger": ("account", "book", "entry", "transaction"),
    "wallet": ("wallet",),
    "payments": (
        "charge",
        "merchant",
        "outboxmessage",
        "paymentevent",
        "paymentorder",
        "pspaccount",
        "pspnotification",
        "pspoperation",
        "refund",
        "seller",
        "transition",
    ),
    "admin": ("logentry",),
}


def make_roles(apps, schema_editor):
    """Create the groups with their rights. Django creates rights after the last migration, so they are made here."""
    alias = schema_editor.connection.alias
    viewer = apps.get_model("auth", "Group").objects.using(alias).get_or_create(name="viewer")[0]
    operator = apps.get_model("auth", "Group").objects.using(alias).get_or_create(name="operator")[0]
    seen = [
        _right(apps, alias, (app, model, f"view_{model}", f"Can view {model}"))
        for app, models in SEEN.items()
        for model in models
    ]
    viewer.permissions.set(seen)
    operator.permissions.set([*seen, _right(apps, alias, OPERATE)])


def _right(apps, alias, right):
    app, model, codename, name = right
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    content_type = types.get_or_create(app_label=app, model=model)[0]
    rights = apps.get_model("auth", "Permission").objects.using(alias)
    return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0002_functions"),
        ("wallet", "0001_initial"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_roles, migrations.RunPython.noop),
        migrations.RunSQL(
            "CREATE INDEX operation_dead ON payments_pspoperation (id) WHERE dead_at IS NOT NULL;"
            "CREATE INDEX notification_dead ON payments_pspnotification (id) WHERE dead_at IS NOT NULL;",
            "DROP INDEX operation_dead; DROP INDEX notification_dead;",
        ),
    ]
