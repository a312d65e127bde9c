"""What every page of the back office is built on: it can be read, and nothing on it can be changed.

`ReadOnlyAdmin` refuses to add, change and delete whatever rights a user has, pages by key instead of
counting, and finds rows by whole identifiers only, so that no list ever scans a big table for a substring. It
knows nothing of payments; the apps above bring their own pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import Combinable
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.enums import ActionVariant
from unfold.views import ChangeList as UnfoldChangeList

from ledger.ids import parse_public_id, public_id
from ledger.models import Book

if TYPE_CHECKING:
    # Unfold publishes no types; its classes extend Django's, which have them.
    from django.contrib.admin import ModelAdmin as _ModelAdmin
    from django.contrib.admin.views.main import ChangeList as _ChangeList

    _Base = _ModelAdmin[Any]
    _BaseChangeList = _ChangeList
    _BasePaginator = Paginator[Any]
else:
    _Base, _BaseChangeList, _BasePaginator = UnfoldModelAdmin, UnfoldChangeList, Paginator

AFTER, BEFORE = "after", "before"
_READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Link:
    """A button at the top of a page. It only leads somewhere: what changes anything is a form behind it."""

    title: str
    path: str
    icon: str
    variant: Any = ActionVariant.DEFAULT

    @property
    def data(self) -> dict[str, Any]:
        """Return the button in the form that Unfold's templates take."""
        return {
            "title": self.title,
            "path": self.path,
            "icon": self.icon,
            "variant": self.variant,
            "attrs": {},
        }


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that belong to the object of a page, shown below it. At most `LIMIT` of them are read."""

    LIMIT: ClassVar[int] = 200

    title: str
    headers: Sequence[Any]
    rows: Sequence[Sequence[Any]]

    @property
    def data(self) -> dict[str, Any]:
        """Return the table in the form that Unfold's component takes."""
        return {"headers": list(self.headers), "rows": [list(row) for row in self.rows]}

    @property
    def is_cut(self) -> bool:
        """Say whether there may be more rows than are shown."""
        return len(self.rows) >= self.LIMIT


class Named:
    """An object whose name on a page is its heading: models name themselves by the ids inside."""

    def __init__(self, obj: Model, name: str) -> None:
        self._obj, self._name = obj, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._obj, name)

    def __str__(self) -> str:
        return self._name


class KeysetChangeList(_BaseChangeList):
    """A list paged by primary key, newest first: a page costs one statement, and nothing is counted."""

    older: int | None = None
    newer: int | None = None

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Take the paging keys out of what is understood as filters."""
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in {AFTER, BEFORE}}

    def get_ordering(self, _request: HttpRequest, _queryset: QuerySet[Any]) -> list[str | Combinable]:
        """Order by primary key, whatever the address asks for: no other order has an index on every list."""
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, which tells whether there is another page."""
        after, before = key_of(request, AFTER), key_of(request, BEFORE)
        for name in (AFTER, BEFORE):  # from here on the parameters are what the links to filters repeat
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        rows: list[Any]
        if after is not None:
            queryset = self.queryset.filter(pk__gt=after).order_by("pk")
            rows = list(queryset[: self.list_per_page + 1])[::-1]
            more, rows = len(rows) > self.list_per_page, rows[-self.list_per_page :]
            self.older, self.newer = after + 1, rows[0].pk if more else None
        else:
            queryset = self.queryset if before is None else self.queryset.filter(pk__lt=before)
            rows = list(queryset[: self.list_per_page + 1])
            more, rows = len(rows) > self.list_per_page, rows[: self.list_per_page]
            self.older = rows[-1].pk if more else None
            self.newer = before - 1 if before is not None else None
        self.result_list = rows
        self.result_count = len(rows)
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = False
        self.multi_page = self.older is not None or self.newer is not None
        self.page_num = 1
        self.paginator = OnePage(rows, self.list_per_page)

    @property
    def older_page(self) -> str:
        """Return the query string of the next page back in time; empty when there is none."""
        return "" if self.older is None else self.get_query_string({BEFORE: str(self.older)})

    @property
    def newer_page(self) -> str:
        """Return the query string of the next page forward in time; empty when there is none."""
        return "" if self.newer is None else self.get_query_string({AFTER: str(self.newer)})

    @property
    def newest_page(self) -> str:
        """Return the query string of the first page, with the same filters."""
        return self.get_query_string()


class OnePage(_BasePaginator):
    """The page at hand. Only carries the template that leads to the pages before and after it."""

    template_name = "admin/keyset_pagination.html"


def key_of(request: HttpRequest, name: str) -> int | None:
    """Return the key that a link to another page of a list carries; anything else than a number is no key."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def newest_books() -> list[int]:
    """Return the keys of the newest 1000 books: most unique columns are indexed behind the book."""
    return list(Book.objects.order_by("-pk").values_list("pk", flat=True)[:1000])


class ReadOnlyAdmin(_Base):
    """Base of every model page. Subclasses name columns, filters, `select`, and how a row is found."""

    # The prefix of the model's public ids ("pay"); empty for models without one.
    prefix: ClassVar[str] = ""
    # Relations that a list or a page touches, loaded with it.
    select: ClassVar[tuple[str, ...]] = ()
    # Columns that no list shows and that can be long.
    heavy: ClassVar[tuple[str, ...]] = ()

    actions = None
    ordering = ("-pk",)
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    sortable_by = ()
    search_fields: ClassVar[tuple[str, ...]] = ("pk",)  # shows the field; what is found is decided by `find`
    search_help_text = "A whole id or reference"
    list_fullwidth = True
    change_form_template = "admin/read_only_page.html"

    def has_add_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Refuse: rows are written by the flows only."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Refuse: rows are written by the flows only."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Refuse: nothing is ever deleted from here."""
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        """Page every list by key."""
        del request, kwargs
        return KeysetChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Load the relations with the rows, and leave long columns to the page of one object."""
        queryset = super().get_queryset(request)
        match = request.resolver_match
        is_list = match is not None and (match.url_name or "").endswith("_changelist")
        if is_list and self.heavy:
            queryset = queryset.defer(*self.heavy)
        return queryset.select_related(*self.select) if self.select else queryset

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Find the object of a page by key, or by its public id: links may carry the API's id."""
        value = parse_public_id(self.prefix, object_id) if self.prefix else None
        if value is not None:
            return self.get_queryset(request).filter(public_id=value).first()
        return super().get_object(request, object_id, from_field)

    def find(self, _term: str) -> Q | None:
        """Return what a search term means for this model; `None` when it cannot mean anything here."""
        return None

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find rows by a whole identifier. Never a substring: that would read the whole table."""
        term = search_term.strip()[:255]
        if not term:
            return queryset, False
        value = parse_public_id(self.prefix, term) if self.prefix else None
        condition = Q(public_id=value) if value is not None else self.find(term)
        return (queryset.none() if condition is None else queryset.filter(condition)), False

    def links(self, _request: HttpRequest, _obj: Any) -> Iterable[Link]:
        """Return the buttons of an object's page."""
        return ()

    def tables(self, _request: HttpRequest, _obj: Any) -> Iterable[Table]:
        """Return what is shown below an object."""
        return ()

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one object with its buttons and tables. A POST is refused: there is nothing to change."""
        if request.method not in _READING:
            raise PermissionDenied
        response = super().change_view(request, object_id, form_url, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data:
            obj = response.context_data["original"]
            response.context_data["actions_detail"] = [button.data for button in self.links(request, obj)]
            response.context_data["tables"] = list(self.tables(request, obj))
            response.context_data["title"] = self.heading(obj)
            response.context_data["original"] = Named(obj, self.heading(obj))
            response.context_data["subtitle"] = None
        return response

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show a list. A POST is refused: there are no bulk actions."""
        if request.method not in _READING:
            raise PermissionDenied
        title = str(self.opts.verbose_name_plural).capitalize()
        return super().changelist_view(request, {**(extra_context or {}), "title": title})

    def heading(self, obj: Any) -> str:
        """Return the title of an object's page."""
        name = str(self.opts.verbose_name).capitalize()
        return f"{name} {public_id(self.prefix, obj.public_id)}" if self.prefix else f"{name} {obj}"

    def page(self, request: HttpRequest, obj: Any, template: str, context: dict[str, Any]) -> HttpResponse:
        """Render a page of its own about an object, with the frame that Django's pages have."""
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": Named(obj, self.heading(obj)),
                "object_path": self.path_of(obj),
                **context,
            },
        )

    def path_of(self, obj: Model) -> str:
        """Return the address of an object's page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])

    def viewable(self, request: HttpRequest, object_id: str) -> Any:
        """Return the object of a page of its own; refuses those who may not see it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Http404
        return obj
