"""What would break for the callers of an API: one OpenAPI document against the next. Pure.

Requests and answers are compared in opposite directions: a new release must accept every request the earlier one
accepted, and must answer nothing that a reader of the earlier answers does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gate.errors import OperationFailed

Table = dict[str, Any]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
# A union of many large alternatives would be compared each with each; past this depth it is one and the same schema.
_DEEPEST = 40


def breaks(old: Table, new: Table) -> list[str]:
    """Every way in which callers of ``old`` would break on ``new``, each a sentence that names the operation.

    Raises OperationFailed when one of them is no OpenAPI document or holds a reference that leads nowhere.
    """
    for name, document in (("earlier", old), ("new", new)):
        if not isinstance(document.get("paths"), dict) or "openapi" not in document:
            raise OperationFailed(f"the {name} document is not OpenAPI 3: it has no openapi version or no paths")
    now = {_nameless(path): item for path, item in new["paths"].items()}
    found: list[str] = []
    for path, item in old["paths"].items():
        after = now.get(_nameless(path))
        for method in _METHODS:
            if method not in item:
                continue
            operation = f"{method.upper()} {path}"
            if after is None:
                found.append(f"{operation}: the path is gone")
            elif method not in after:
                found.append(f"{operation}: the method is gone")
            else:
                before = _Operation(old, item, item[method])
                found += [f"{operation}: {text}" for text in before.breaks(_Operation(new, after, after[method]))]
    return found


def _nameless(path: str) -> str:
    """A path without its parameters' names: /items/{id} and /items/{sku} are the same path."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _resolve(document: Table, value: Table) -> Table:
    """``value``, or what its ``$ref`` points at."""
    for _ in range(_DEEPEST):
        reference = value.get("$ref")
        if reference is None:
            return value
        target: Any = document
        for part in str(reference).removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise OperationFailed(f"the reference {reference} leads nowhere")
        value = target
    raise OperationFailed(f"the reference {value['$ref']} goes in a circle")


@dataclass(frozen=True)
class _Operation:
    """One method of one path, with the document its references point into."""

    document: Table
    path: Table
    table: Table

    def breaks(self, new: _Operation) -> Iterator[str]:
        yield from self._parameter_breaks(new)
        yield from self._body_breaks(new)
        yield from self._answer_breaks(new)
        if new._needs_credentials() and not self._needs_credentials():
            yield "asks for credentials that it did not ask for"

    def _parameters(self) -> dict[tuple[str, str], Table]:
        """By place and name; a path parameter by its position, since its name is the server's own business."""
        found: dict[tuple[str, str], Table] = {}
        for given in (*self.path.get("parameters", ()), *self.table.get("parameters", ())):
            parameter = _resolve(self.document, given)
            found[parameter["in"], parameter["name"]] = parameter
        return {key: value for key, value in found.items() if key[0] != "path"}

    def _parameter_breaks(self, new: _Operation) -> Iterator[str]:
        before, after = self._parameters(), new._parameters()
        for key, parameter in after.items():
            place, name = key
            earlier = before.get(key)
            if parameter.get("required") and (earlier is None or not earlier.get("required")):
                yield f"the {place} parameter {name} is {'now' if earlier else 'new and'} required"
            elif earlier is not None:
                compare = _Schemas(self.document, new.document, _Direction.REQUEST)
                yield from compare.breaks(earlier.get("schema", {}), parameter.get("schema", {}), f"{place} {name}")

    def _body_breaks(self, new: _Operation) -> Iterator[str]:
        before = _resolve(self.document, self.table.get("requestBody", {}))
        after = _resolve(new.document, new.table.get("requestBody", {}))
        if after.get("required") and not before.get("required"):
            yield "a request body is now required"
        for kind, media in before.get("content", {}).items():
            if kind not in after.get("content", {}):
                yield f"requests as {kind} are not accepted any more"
                continue
            compare = _Schemas(self.document, new.document, _Direction.REQUEST)
            yield from compare.breaks(media.get("schema", {}), after["content"][kind].get("schema", {}), "request")

    def _answer_breaks(self, new: _Operation) -> Iterator[str]:
        after = new.table.get("responses", {})
        for status, given in self.table.get("responses", {}).items():
            answer = _resolve(self.document, given)
            if status not in after:
                # An error that is not documented any more breaks no reader; a success that is gone does.
                if status[0] in "23":
                    yield f"status {status} is gone"
                continue
            content = _resolve(new.document, after[status]).get("content", {})
            for kind, media in answer.get("content", {}).items():
                if kind not in content:
                    yield f"answer {status} is not given as {kind} any more"
                    continue
                compare = _Schemas(self.document, new.document, _Direction.ANSWER)
                yield from compare.breaks(media.get("schema", {}), content[kind].get("schema", {}), f"answer {status}")

    def _needs_credentials(self) -> bool:
        wanted = self.table.get("security", self.document.get("security")) or []
        return bool(wanted) and {} not in wanted


class _Direction(StrEnum):
    REQUEST = "request"
    ANSWER = "answer"


class _Schemas:
    """Compares two schemas in one direction; remembers what it is in the middle of, since schemas may recurse."""

    def __init__(self, old: Table, new: Table, direction: _Direction) -> None:
        self._old = old
        self._new = new
        self._direction = direction
        self._open: set[tuple[int, int]] = set()

    def breaks(self, old: Table, new: Table, at: str) -> list[str]:
        old, new = _resolve(self._old, old), _resolve(self._new, new)
        pair = (id(old), id(new))
        if pair in self._open or len(self._open) > _DEEPEST:
            return []
        self._open.add(pair)
        try:
            return self._unions(_variants(self._old, old), _variants(self._new, new), at)
        finally:
            self._open.discard(pair)

    def _unions(self, old: list[Table], new: list[Table], at: str) -> list[str]:
        """Requests: each old form must fit a new one. Answers: each new form must fit an old one."""
        request = self._direction is _Direction.REQUEST
        must_fit, may_fit = (old, new) if request else (new, old)
        found: list[str] = []
        for form in must_fit:
            tried = [self._simple(form, other, at) if request else self._simple(other, form, at) for other in may_fit]
            closest: list[str] = min(tried, key=len, default=[])
            found += closest
        return found

    def _simple(self, old: Table, new: Table, at: str) -> list[str]:
        """Two schemas that are no unions."""
        if not _type_fits(old, new, self._direction):
            return [f"{at}: was {_type(old)}, is now {_type(new)}"]
        found = list(self._value_breaks(old, new, at))
        found += self._property_breaks(old, new, at)
        if isinstance(old.get("items"), dict):
            found += self.breaks(old["items"], new.get("items", {}), f"{at}[]")
        extra = old.get("additionalProperties")
        if isinstance(extra, dict) and isinstance(new.get("additionalProperties"), dict):
            found += self.breaks(extra, new["additionalProperties"], f"{at}.*")
        return found

    def _value_breaks(self, old: Table, new: Table, at: str) -> Iterator[str]:
        before, after = _values(old), _values(new)
        # Whoever sends a value that is gone is refused; whoever waits for it waits for ever.
        if after is not None:
            if before is None and self._direction is _Direction.REQUEST:
                yield f"{at}: is now limited to {', '.join(map(repr, after))}"
            for value in before or ():
                if value not in after:
                    yield f"{at}: the value {value!r} is gone"
        if old.get("format") and new.get("format") and old["format"] != new["format"]:
            yield f"{at}: was {old['format']}, is now {new['format']}"
        if self._direction is _Direction.REQUEST:
            for name in (*_UPPER_BOUNDS, *_LOWER_BOUNDS):
                if _tighter(name, old.get(name), new.get(name)):
                    yield f"{at}: {name} is now {new[name]}"

    def _property_breaks(self, old: Table, new: Table, at: str) -> list[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        found: list[str] = []
        if self._direction is _Direction.REQUEST:
            for name in sorted(needed_after - needed_before):
                found.append(f"{at}: the field {name} is {'now' if name in before else 'new and'} required")
            closed = new.get("additionalProperties") is False
            found += [f"{at}: the field {name} is refused now" for name in before if closed and name not in after]
        else:
            found += [f"{at}: the field {name} is gone" for name in before if name not in after]
            for name in sorted(needed_before - needed_after):
                if name in after:
                    found.append(f"{at}: the field {name} may be missing now")
        for name in before:
            if name in after:
                found += self.breaks(before[name], after[name], f"{at}.{name}")
        return found


def _variants(document: Table, schema: Table, depth: int = 0) -> list[Table]:
    """The simple schemas a schema allows: unions taken apart, ``allOf`` put together, ``nullable`` written out."""
    schema = _resolve(document, schema)
    if depth > _DEEPEST:
        return [schema]
    if "allOf" in schema:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            for simple in _variants(document, part, depth + 1)[:1]:
                merged = _joined(merged, simple)
        schema = merged
    for key in ("anyOf", "oneOf"):
        if key in schema:
            rest = {name: value for name, value in schema.items() if name != key}
            return [_joined(rest, simple) for part in schema[key] for simple in _variants(document, part, depth + 1)]
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [{**schema, "type": kind} for kind in kinds]
    if schema.get("nullable"):
        return [schema, {"type": "null"}]
    return [schema]


def _joined(one: Table, two: Table) -> Table:
    return {
        **one,
        **two,
        **({"properties": {**one.get("properties", {}), **two.get("properties", {})}} if _has(one, two) else {}),
        "required": [*one.get("required", ()), *two.get("required", ())],
    }


def _has(*schemas: Table) -> bool:
    return any("properties" in schema for schema in schemas)


def _type(schema: Table) -> str:
    if "type" in schema:
        return str(schema["type"])
    values = _values(schema)
    if values:
        return "null" if values[0] is None else "one of a list"
    return "object" if "properties" in schema else "anything"


def _values(schema: Table) -> list[Any] | None:
    """The values a schema is limited to, None for any."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return list(values) if isinstance(values, list) else None


def _type_fits(old: Table, new: Table, direction: _Direction) -> bool:
    before, after = _type(old), _type(new)
    narrow, wide = (before, after) if direction is _Direction.REQUEST else (after, before)
    return wide in (narrow, "anything") or (narrow, wide) == ("integer", "number")


def _tighter(name: str, old: object, new: object) -> bool:
    """Whether a bound allows less than before. Before OpenAPI 3.1 an exclusive bound was a flag: not compared."""
    if isinstance(new, bool) or not isinstance(new, int | float):
        return False
    if isinstance(old, bool) or not isinstance(old, int | float):
        return True
    return new < old if name in _UPPER_BOUNDS else new > old
