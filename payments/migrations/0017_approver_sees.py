"""An approver sees what a viewer sees, also what came after the role: disputes, payouts, runs."""

from django.db import migrations


def let_approvers_see(apps, schema_editor):
    """Give the approver every right of the viewer."""
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    groups.get(name="approver").permissions.add(*groups.get(name="viewer").permissions.all())


class Migration(migrations.Migration):
    dependencies = [("payments", "0016_top_ups")]

    operations = [migrations.RunPython(let_approvers_see, migrations.RunPython.noop)]
