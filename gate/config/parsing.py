"""One table becomes one ``Environment``, or every fault at once, each naming file and key. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gate.config import Environment
from gate.config.declared import Keys, declared
from gate.errors import ConfigError
from gate.judging.limits import Rule
from gate.judging.rules import build as build_rules
from gate.redact import Redactor

# ${NAME:-} may be unset, and is empty then.
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*|generated:[A-Za-z0-9_]+)(:-)?\}")


def variables_of(table: object) -> set[str]:
    """Names of all ``${NAME}`` and ``${generated:NAME}`` that occur in a table."""
    if isinstance(table, str):
        return {name for name, _ in _VARIABLE.findall(table)}
    items = table.values() if isinstance(table, dict) else table if isinstance(table, list) else ()
    return set().union(*(variables_of(item) for item in items)) if items else set()


def parse(
    table: dict[str, Any],
    variables: dict[str, str],
    *,
    name: str,
    file: Path,
    root: Path,
    secrets: Collection[str] = (),
) -> Environment:
    """The environment that ``table`` describes.

    ``variables`` replace ``${NAME}``; ``secrets`` are further values that must never be printed.
    Raises ConfigError with every fault found, each naming file and key.
    """
    filled, used, problems = _fill(table, variables, ())
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    environment: Environment | None = None
    try:
        environment = Environment.model_validate(filled)
    except ValidationError as fault:
        missing = {path for path, _ in problems}
        problems += [(path, _message(e)) for e in fault.errors() if (path := _written(filled, e["loc"])) not in missing]
    lines = [f"{shown}: {_key(path)}{text}" for path, text in problems]
    rules: tuple[Rule, ...] = ()
    if environment is not None:
        rules, faults = build_rules(environment.rules)
        lines += [f"{shown}: {fault}" for fault in faults]
    if lines or environment is None:
        unset = sorted({text.split(" ", 1)[0] for _, text in problems if text.endswith(_NOT_SET)})
        hide = Redactor(value for named in used.values() for value in named.values())
        lines = [hide(line) for line in lines]
        raise ConfigError(lines, next_step="; ".join(f"export {variable}=…" for variable in unset) or f"edit {shown}")
    found = declared(environment, used, name)
    environment.bind(
        name=name,
        file=file,
        root=root,
        written=copy.deepcopy(table),
        rules=rules,
        secrets=found.values | frozenset(secrets),
        exposed=found.exposed,
    )
    return environment


S = TypeVar("S", bound=BaseModel)


def parse_section(table: Any, variables: dict[str, str], kind: type[S], name: str, *, file: Path, root: Path) -> S:
    """One table of an environment file alone. Raises ConfigError with every fault found in it."""
    filled, used, problems = _fill(table, variables, (name,))
    hide = Redactor(value for named in used.values() for value in named.values())
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    if not problems:
        try:
            return kind.model_validate(filled)
        except ValidationError as fault:
            problems = [((name, *map(str, error["loc"])), _message(error)) for error in fault.errors()]
    lines = [hide(f"{shown}: {_key(path)}{text}") for path, text in problems]
    raise ConfigError(lines, next_step=f"edit {shown}")


_NOT_SET = "is not set (an environment variable, or one of your CI's secrets)"


def _fill(
    value: Any, variables: dict[str, str], path: Keys
) -> tuple[Any, dict[Keys, dict[str, str]], list[tuple[Keys, str]]]:
    """``value`` with its variables replaced, those used by path, and those that are missing."""
    used: dict[Keys, dict[str, str]] = {}
    problems: list[tuple[Keys, str]] = []
    if isinstance(value, str):
        found = _VARIABLE.findall(value)
        problems = [(path, f"{name} {_NOT_SET}") for name, may_lack in found if not (variables.get(name) or may_lack)]
        if problems or not found:
            return value, used, problems
        used[path] = {name: variables.get(name, "") for name, _ in found}
        return _VARIABLE.sub(lambda match: variables.get(match[1], ""), value), used, problems
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        filled = []
        for key, item in items:
            new, below, faults = _fill(item, variables, (*path, str(key)))
            filled.append((key, new))
            used |= below
            problems += faults
        return (dict(filled) if isinstance(value, dict) else [new for _, new in filled]), used, problems
    return value, used, problems


def _written(table: Any, loc: tuple[int | str, ...]) -> Keys:
    """The keys of a fault as they stand in the file: a choice between kinds of tables adds its name to the path."""
    path: Keys = ()
    for number, key in enumerate(loc, 1):
        if isinstance(table, dict) and key not in table and number < len(loc):
            continue
        if isinstance(table, str):
            break
        path = (*path, str(key))
        if isinstance(table, dict):
            table = table.get(key)
        elif isinstance(table, list) and isinstance(key, int):
            table = table[key]
    return path


def _message(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "union_tag_not_found":
        return f"{error['ctx']['discriminator'].strip(chr(39))} is required"
    if error["type"] == "union_tag_invalid":
        ctx = error["ctx"]
        return f"{ctx['discriminator'].strip(chr(39))}: {ctx['tag']} is none of {ctx['expected_tags']}"
    text = error["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _key(path: Keys) -> str:
    """``[services.web.limits] memory: `` for a path of keys."""
    if not path:
        return ""
    *tables, key = path
    return f"[{'.'.join(tables)}] {key}: " if tables else f"{key}: "
