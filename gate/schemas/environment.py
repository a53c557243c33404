"""The JSON Schema of an environment file, for editors: completion, and a fault marked while it is typed.

It describes the file as written, which is more than the model: texts may hold ``${NAME}``, ``extends`` may bring what
a file leaves out, and TOML has no null. The loader stays the judge.
"""

from __future__ import annotations

from typing import Any

from gate.config import Environment

Schema = dict[str, Any]

_VARIABLE = {"pattern": r"\$\{[A-Za-z_][A-Za-z0-9_:-]*\}"}


def schema() -> Schema:
    """The schema (draft 2020-12)."""
    made = Environment.model_json_schema(mode="validation")
    written: Schema = _as_written(made)
    required = _required(made, made["$defs"])
    written["properties"] = {
        "extends": {"type": "string", "description": "Another environment file; this one wins key by key"},
        **written["properties"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Environment file of the deploy gate",
        **written,
        "if": {"not": {"required": ["extends"]}},
        "then": required,
    }


def _as_written(node: Any) -> Any:
    """``node`` without null, titles and required keys, and with variables allowed where a text has a pattern."""
    if isinstance(node, list):
        return [_as_written(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "anyOf" in node:
        choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        if len(choices) == 1:
            node = {**choices[0], **{key: value for key, value in node.items() if key != "anyOf"}}
    kept: Schema = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            kept[key] = {name: _as_written(item) for name, item in value.items()}
        elif key == "pattern":
            kept["anyOf"] = [{"pattern": value}, _VARIABLE]
        elif key not in {"title", "required"} and not (key == "default" and value is None):
            kept[key] = value if key in ("default", "enum", "const") else _as_written(value)
    return kept


def _required(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Only the required keys of ``node`` and of all below it."""
    if "$ref" in node:
        return _required(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    if "discriminator" in node:
        return {"required": [node["discriminator"]["propertyName"]]}
    if "anyOf" in node:
        choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        return _required(choices[0], definitions) if len(choices) == 1 else {}
    found: Schema = {}
    if node.get("required"):
        found["required"] = node["required"]
    below = {name: _required(item, definitions) for name, item in node.get("properties", {}).items()}
    if any(below.values()):
        found["properties"] = {name: item for name, item in below.items() if item}
    for key in ("items", "additionalProperties"):
        inner = node.get(key)
        if isinstance(inner, dict) and (needed := _required(inner, definitions)):
            found[key] = needed
    return found
