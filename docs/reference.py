"""Writes docs/configuration.md from the configuration's own types. Run: python docs/reference.py"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from gate.config import Environment  # noqa: E402 - the project's folder has to be found first
from gate.judging.rules import DEFAULTS  # noqa: E402

TARGET = HERE / "configuration.md"
HEAD = """\
# The environment file

<!-- Made by docs/reference.py from gate/config/; edit those. -->

One TOML file in `environments/` describes one deployed place. It is read once, and every fault is told at once, with
file, key and what was expected. Editors that read JSON Schema take `gate/schemas/environment.schema.json`.

- `extends = "base.toml"` takes over another file, key by key.
- `${NAME}` is a variable of the process that runs the gate; one that is not set is an error, `${NAME:-}` is empty then.
  Which of them are secrets and never printed, [redaction.md](redaction.md) says. `${generated:NAME}` is a random value
  made once, for environments with a `[stack]`.
- Durations are `250ms 30s 2m 1h 7d`, sizes `512M 2G`, shares `5%` or `0.05`.
- In `command` and `env`, `{python} {socket} {host} {port} {folder} {root} {state} {version} {digest}` are replaced. A
  service that asks for `{port}` listens there, on `{host}` or on all addresses, the others on the socket `{socket}`.
- Relative paths start at the project's folder.
- An invariant must be askable on the schema that serves and on the one after: it runs before, and after a rollback.
"""


def main() -> None:
    TARGET.write_text(text(), encoding="utf-8")


def text() -> str:
    """The whole page."""
    schema = Environment.model_json_schema()
    definitions = schema["$defs"]
    parts = [HEAD]
    for name, field in schema["properties"].items():
        target, many = _target(field, definitions)
        if target is None:
            parts.append(f"## `[{name}]`\n\n{field.get('description', '')}.\n")
            continue
        title = f"[[{name}]]" if field.get("type") == "array" else f"[{name}.NAME]" if many else f"[{name}]"
        parts.append(f"## `{title}`\n\n{target.get('description', '')}\n\n{_table(target, definitions)}")
        for key, inner in target["properties"].items():
            below = f"{title.strip('[]')}.{key}"
            nested, named = _target(inner, definitions)
            below += ".NAME" if named and "additionalProperties" in inner else ""
            if nested is not None and "properties" in nested:
                parts.append(f"### `[{below}]`\n\n{nested.get('description', '')}\n\n{_table(nested, definitions)}")
            below += ".NAME" if "additionalProperties" in inner else ""
            for by, value, kind in _kinds(inner, definitions):
                parts.append(
                    f'### `[{below}]` with `{by} = "{value}"`\n\n{kind["description"]}\n\n{_table(kind, definitions)}'
                )
    parts.append(_rules())
    return "\n".join(parts).rstrip() + "\n"


def _target(field: dict[str, Any], definitions: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """The table a field refers to, directly, as an alternative to nothing, in a list or by name."""
    inner = field.get("items") or field.get("additionalProperties")
    many = isinstance(inner, dict) and "$ref" in inner
    candidates = [
        field,
        *field.get("anyOf", []),
        *field.get("oneOf", []),
        *field.get("allOf", []),
        inner if many else {},
    ]
    for candidate in candidates:
        if isinstance(candidate, dict) and "$ref" in candidate:
            found: dict[str, Any] = definitions[candidate["$ref"].rpartition("/")[2]]
            return (found, many) if "properties" in found else (None, False)
    return None, False


def _kinds(field: dict[str, Any], definitions: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The tables a field may be, where one of their keys says which: that key, its value and the table."""
    found = []
    for choice in field.get("anyOf", [field.get("additionalProperties", field)]):
        told = choice.get("discriminator", {})
        for value, reference in sorted(told.get("mapping", {}).items()):
            found.append((told["propertyName"], value, definitions[reference.rpartition("/")[2]]))
    return found


def _table(target: dict[str, Any], definitions: dict[str, Any]) -> str:
    rows = ["| key | what | default |", "|---|---|---|"]
    required = target.get("required", [])
    for key, field in target["properties"].items():
        default = "**required**" if key in required else _default(field.get("default"), _kind(field, definitions))
        rows.append(f"| `{key}` | {_what(field, definitions)} | {default} |")
    return "\n".join(rows) + "\n"


def _what(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    nested, _ = _target(field, definitions)
    told = field.get("description") or (nested or {}).get("description") or ""
    choices = field.get("anyOf") or field.get("oneOf") or [field]
    kinds = [_kind(item, definitions) for item in choices if item.get("type") != "null"]
    kind = " or ".join(dict.fromkeys(filter(None, kinds)))
    return f"{told.rstrip('.')} ({kind})" if told and kind else told or kind


def _kind(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        target = definitions[field["$ref"].rpartition("/")[2]]
        return _kind(target, definitions) if "enum" in target else "table"
    if "discriminator" in field:
        return "table"
    if "format" in field:
        return str(field["format"])
    names = {
        "array": "list",
        "object": "table",
        "integer": "whole number",
        "boolean": "true or false",
        "string": "text",
    }
    return names.get(str(field.get("type")), str(field.get("type", "")))


def _default(value: object, kind: str) -> str:
    if value in (None, {}, [], ""):
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, float):
        shown = f"{value:g}{'s' if kind == 'duration' else ''}"
    return f"`{shown}`".replace("|", "\\|")


def _rules() -> str:
    rows = ["## Default rules", "", "A `[[rules]]` row with the same signal replaces one of these.", ""]
    rows += ["| signal | GO | ROLLBACK | at least n | severity |", "|---|---|---|---|---|"]
    rows += [
        f"| `{rule.signal}` | {rule.go.text if rule.go else ''} | {rule.rollback.text if rule.rollback else ''} "
        f"| {rule.min_n} | {rule.severity} |"
        for rule in DEFAULTS
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
