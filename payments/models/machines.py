"""State machines: what all of them share, and the two tables that the database triggers use.

django-fsm checks a transition in Python only (and `queryset.update`, constructors and raw SQL go around it), so the
database has the last word: a trigger per machine looks each edge up in `AllowedTransition` and writes `Transition`.
The rows of `AllowedTransition` are generated from the code by a migration and compared with it in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.functions import Now
from django_fsm import FSMField


class Machine(models.Model):
    """Base of a model with a protected `status` that only its transition methods may set."""

    class Meta:
        abstract = True

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,  # noqa: ARG002 - Django's signature; all columns are read
        from_queryset: Any = None,
    ) -> None:
        """Reload every column.

        Django's own version assigns to the protected field; django-fsm's mixin switches the protection off for the
        whole class meanwhile, and leaves it off when the row is gone. This one writes past the descriptor instead.
        """
        queryset = from_queryset if from_queryset is not None else type(self)._base_manager.using(using)
        fresh = queryset.get(pk=self.pk)
        for column in self._meta.concrete_fields:
            self.__dict__[column.attname] = fresh.__dict__[column.attname]
        self._state.fields_cache.clear()


def edges(model: type[Machine]) -> set[tuple[str, str]]:
    """Return every (source, target) of a machine, as its transition methods declare them."""
    field: Any = model._meta.get_field("status")  # type: ignore[misc]  # each concrete machine has one
    assert isinstance(field, FSMField)
    return {(str(transition.source), str(transition.target)) for transition in field.get_all_transitions(model)}


class AllowedTransition(models.Model):
    """One legal edge of one machine. `source` is empty for a state in which a row may be born."""

    machine = models.CharField(max_length=32)
    source = models.CharField(max_length=20, blank=True)
    target = models.CharField(max_length=20)

    class Meta:
        constraints = [
            models.UniqueConstraint("machine", "source", "target", name="transition_edge_is_listed_once"),
        ]

    def __str__(self) -> str:
        return f"{self.machine}: {self.source or '(new)'} -> {self.target}"


class Transition(models.Model):
    """History: one row for each change of status, written by the database trigger and by nobody else."""

    machine = models.CharField(max_length=32)
    object_id = models.BigIntegerField()
    source = models.CharField(max_length=20)
    target = models.CharField(max_length=20)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index("machine", "object_id", "id", name="transition_by_object")]

    def __str__(self) -> str:
        return f"{self.machine} {self.object_id}: {self.source} -> {self.target}"
