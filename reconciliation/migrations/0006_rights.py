"""Who sees reconciliation, and who handles breaks: all roles see, operators handle."""

from django.db import migrations

SEEN = (
    "source",
    "settlementfile",
    "statementline",
    "item",
    "reconciliationrun",
    "identity",
    "match",
    "break",
    "breakevent",
)
HANDLE = ("break", "handle_breaks", "Can take, note, propose for and resolve breaks")


def give_rights(apps, schema_editor):
    """Let the roles see what is new, and operators handle breaks."""
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    seen = [_right(apps, alias, name, f"view_{name}", f"Can view {name}") for name in SEEN]
    handle = _right(apps, alias, *HANDLE)
    for role in ("viewer", "operator", "approver"):
        group = groups.get(name=role)
        group.permissions.add(*seen)
        if role == "operator":
            group.permissions.add(handle)


def _right(apps, alias, model, codename, name):
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    content_type = types.get_or_create(app_label="reconciliation", model=model)[0]
    rights = apps.get_model("auth", "Permission").objects.using(alias)
    return rights.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})[0]


class Migration(migrations.Migration):
    dependencies = [
        ("reconciliation", "0005_line_revised"),
        ("payments", "0007_approvers"),
    ]

    operations = [migrations.RunPython(give_rights, migrations.RunPython.noop)]
