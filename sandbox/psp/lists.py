"""Lists, newest first, with Stripe's cursors and filters; and `expand`, which puts objects where ids were."""

import json
from collections.abc import Callable
from typing import Any, Final

from .call import Call
from .errors import Json, ParameterError
from .forms import Params
from .ledger import fresh
from .store import shown

PAGING: Final = frozenset(("limit", "starting_after", "ending_before", "expand", "created"))
PAGING_WITHOUT_TIME: Final = PAGING - {"created"}
COLUMNS: Final = ("customer", "parent")
DEFAULT_LIMIT: Final = 10
MAX_LIMIT: Final = 100
MAX_EXPANSIONS: Final = 20
MAX_EXPANSION_LEVELS: Final = 4
type Inclusion = Callable[[Call, Json], Json]

INCLUSIONS: Final[dict[tuple[str, str], Inclusion]] = {}
"""What an object shows only when it is asked for, by kind and property; `operations` fills it in."""

COMPARISONS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def page(call: Call, kind: str, url: str, where: dict[str, Any] | None = None) -> Json:
    """Answer one page of an account's objects; `where` maps JSON paths or columns to wanted values."""
    limit = call.params.integer("limit", at_least=1, at_most=MAX_LIMIT) or DEFAULT_LIMIT
    conditions = ["scope = ?", "kind = ?"]
    given: list[str | int] = [call.scope, kind]
    for path, value in (where or {}).items():
        if value is None:
            continue
        wanted = value if isinstance(value, list) else [value]
        column = path if path in COLUMNS else f"json_extract(body, '$.{path}')"
        conditions.append(f"{column} IN ({', '.join('?' * len(wanted))})")
        given += wanted
    for operator, bound in created_bounds(call.params):
        conditions.append(f"created {operator} ?")
        given.append(bound)
    before = call.params.text("ending_before")
    if cursor := call.params.text("starting_after") or before:
        row = call.store.db.execute(
            "SELECT seq FROM objects WHERE id = ? AND scope = ?", (cursor, call.scope)
        ).fetchone()
        if row is None:
            name = "ending_before" if before else "starting_after"
            raise ParameterError(f"No such {kind}: '{cursor}'", code="resource_missing", param=name)
        conditions.append("seq > ?" if before else "seq < ?")
        given.append(row[0])
    rows = call.store.db.execute(
        f"SELECT body FROM objects WHERE {' AND '.join(conditions)} ORDER BY seq {'ASC' if before else 'DESC'} LIMIT ?",
        (*given, limit + 1),
    ).fetchall()
    data = [shown(json.loads(body)) for (body,) in rows[:limit]]
    if before:
        data.reverse()
    if kind == "balance_transaction":
        data = [fresh(one, call.now) for one in data]
    return {"object": "list", "data": data, "has_more": len(rows) > limit, "url": url}


def created_bounds(params: Params) -> list[tuple[str, int]]:
    """Answer the comparisons of the `created` filter."""
    if "created" not in params:
        return []
    if isinstance(params.values["created"], str):
        return [("=", params.integer("created", at_most=10**12) or 0)]
    asked = params.child("created")
    asked.only(frozenset(COMPARISONS))
    return [(COMPARISONS[name], asked.integer(name, at_most=10**12) or 0) for name in asked.values]


def whole(url: str, data: list[Json]) -> Json:
    """Answer a short list that is never cut."""
    return {"object": "list", "data": [shown(one) for one in data], "has_more": False, "url": url}


def expand(call: Call, body: Json) -> Json:
    """Put objects in the places that `expand` names."""
    paths = call.params.texts("expand")
    if len(paths) > MAX_EXPANSIONS:
        raise ParameterError(f"You can expand at most {MAX_EXPANSIONS} properties", param="expand")
    for path in paths:
        parts = path.split(".")
        if len(parts) > MAX_EXPANSION_LEVELS:
            raise ParameterError("You cannot expand more than 4 levels of a property", param="expand")
        body = _expanded(call, body, parts, path)
    return body


def _expanded(call: Call, node: Any, parts: list[str], path: str) -> Any:
    if isinstance(node, list):
        return [_expanded(call, item, parts, path) for item in node]
    if not isinstance(node, dict):
        return node
    name, below = parts[0], parts[1:]
    included = INCLUSIONS.get((node.get("object", ""), name))
    if included is not None:
        node = {**node, name: included(call, node)}
    if name not in node:
        raise ParameterError(f"This property cannot be expanded ({path}).", param="expand")
    value = node[name]
    if isinstance(value, str):
        found = call.store.get(call.scope, value)
        if found is None:
            raise ParameterError(f"This property cannot be expanded ({path}).", param="expand")
        value = fresh(found, call.now) if found["object"] == "balance_transaction" else found
    if value is None:
        return node
    return {**node, name: _expanded(call, value, below, path) if below else shown(value)}
