"""`migrate` as the owner of the schema: the role that serves requests may not change it."""

from django.core.management.base import CommandParser
from django.core.management.commands import migrate


class Command(migrate.Command):
    """Django's migrate with another default."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add Django's arguments; without `--database` it is the owner's connection."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")
