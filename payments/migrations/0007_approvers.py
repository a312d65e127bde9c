"""The role of the approver: sees what a viewer sees, approves journals and closes periods. An operator may propose."""

from django.db import migrations

SEEN = (("ledger", "period", "view_period", "Can view period"), ("wallet", "proposal", "view_proposal", "Can view proposal"))
MAKE = ("wallet", "proposal", "make_proposals", "Can propose journals")
CHECK = ("wallet", "proposal", "check_proposals", "Can approve and reject journals")
CLOSE = ("ledger", "period", "close_periods", "Can close periods")


def make_role(apps, schema_editor):
    """Create the approver with the viewer's rights and its own; let viewer and operator see what is new."""
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    seen = [_right(apps, alias, right) for right in SEEN]
    viewer, operator = groups.get(name="viewer"), groups.get(name="operator")
    viewer.permissions.add(*seen)
    operator.permissions.add(*seen, _right(apps, alias, MAKE))
    approver = groups.get_or_create(name="approver")[0]
    approver.permissions.set([*viewer.permissions.all(), _right(apps, alias, CHECK), _right(apps, alias, CLOSE)])


def _right(apps, alias, right):
    app, model, codename, name = right
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    content_type = types.get_or_create(app_label=app, model=model)[0]
    rights = apps.get_model("auth", "Permission").objects.using(alias)
    return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0006_disputes"),
        ("ledger", "0010_period"),
        ("wallet", "0003_proposals"),
    ]

    operations = [migrations.RunPython(make_role, migrations.RunPython.noop)]
