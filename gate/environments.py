"""Reads an environment file: TOML, ``extends``, the variables of this machine, and secrets made for a local install."""

from __future__ import annotations

import difflib
import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gate.config import Environment
from gate.config.keeping import State
from gate.config.monitoring import Monitoring
from gate.config.parsing import parse, parse_section, variables_of
from gate.errors import ConfigError, UsageError
from gate.remote import behind

FOLDER = "environments"


def available(root: Path) -> list[str]:
    """Names of the environments of a project; a file that only others extend is called base."""
    return sorted(file.stem for file in (root / FOLDER).glob("*.toml") if file.stem != "base")


def load(name: str, root: Path, variables: Mapping[str, str] | None = None) -> Environment:
    """The environment ``name`` of the project at ``root``.

    ``${NAME}`` comes from ``variables`` (by default this process's environment); ``${generated:NAME}`` is a random
    value made once per environment that has a ``[stack]`` and kept in its state folder, readable by its owner only.
    Raises UsageError for an unknown environment, ConfigError for a faulty file.
    """
    file = _file_of(name, root)
    table = _read(file, root, ())
    given = dict(os.environ if variables is None else variables)
    wanted = {item.removeprefix("generated:") for item in variables_of(table) if item.startswith("generated:")}
    state = table.get("state", {})
    folder = root / str(state.get("folder", ".gate") if isinstance(state, dict) else ".gate") / name
    if wanted:
        if "stack" not in table:
            raise ConfigError([f"{file.relative_to(root)}: ${{generated:…}} is only for environments with a [stack]"])
        made = _generated(folder / "secrets.json", wanted)
        given |= {f"generated:{key}": value for key, value in made.items()}
    # The proxy's own: it opens the way to a release without traffic, so no report may show it.
    tokens = sorted((folder / "traffic").glob("token*"))  # each server has one of its own
    kept = [token.read_text(encoding="utf-8").strip() for token in tokens]
    return behind.led(parse(table, given, name=name, file=file, root=root, secrets=kept))


def _file_of(name: str, root: Path) -> Path:
    """The file of an environment. Raises UsageError."""
    names = available(root)
    if name not in names:
        known = ", ".join(names) if names else f"none: {root / FOLDER} holds no .toml file"
        meant = difflib.get_close_matches(name, names, n=1) or (names if len(names) == 1 else [])
        raise UsageError(
            f"no environment {name!r}; there are: {known}",
            next_step=f"python deploy_gate.py {meant[0]} status" if meant else None,
        )
    return root / FOLDER / f"{name}.toml"


def records_of(name: str, root: Path, variables: Mapping[str, str] | None = None) -> tuple[str, State, Monitoring]:
    """The application's name, ``[state]`` and ``[monitoring]`` of an environment: enough to read its records, without
    the variables that only its services need. Raises UsageError for an unknown one, ConfigError."""
    file = _file_of(name, root)
    table = _read(file, root, ())
    given = dict(os.environ if variables is None else variables)
    app = table.get("app")
    app_name = app.get("name") if isinstance(app, dict) else None
    if not isinstance(app_name, str):
        raise ConfigError([f"{file.relative_to(root)}: [app] name: is required"])
    state = parse_section(table.get("state", {}), given, State, "state", file=file, root=root)
    monitoring = parse_section(table.get("monitoring", {}), given, Monitoring, "monitoring", file=file, root=root)
    return app_name, state, monitoring


def written(name: str, root: Path) -> dict[str, Any]:
    """The tables of an environment and of those it extends, as they are written. Raises UsageError, ConfigError."""
    return _read(_file_of(name, root), root, ())


def demand_files(environment: Environment) -> None:
    """Raises ConfigError for every path of the file that leads nowhere and without which nothing could be judged."""
    database = environment.database
    wanted = [
        (f"[{name}] folders", item) for name in ("checks", "smoke") for item in getattr(environment, name).folders
    ]
    if database is not None and database.invariants is not None:
        wanted.append(("[database] invariants", database.invariants))
    if environment.app.ca is not None:
        wanted.append(("[app] ca", environment.app.ca))
    if environment.approval.allowed_signers is not None:
        wanted.append(("[approval] allowed_signers", environment.approval.allowed_signers))
    if environment.traffic.synthetic is not None:
        wanted.append(("[traffic] synthetic", environment.traffic.synthetic))
    shown = environment.file.relative_to(environment.root)
    lines = [f"{shown}: {key}: {path} does not exist" for key, path in wanted if not (environment.root / path).exists()]
    if lines:
        raise ConfigError(lines, next_step=f"edit {shown}")


def variable_names(name: str, root: Path) -> set[str]:
    """Names of the environment variables that the file of an environment uses. Raises ConfigError."""
    used = variables_of(_read(root / FOLDER / f"{name}.toml", root, ()))
    return {variable for variable in used if not variable.startswith("generated:")}


def _read(file: Path, root: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    if file in seen:
        raise ConfigError([f"{shown}: extends: goes in a circle"])
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError([f"{shown}: not valid TOML: {fault}"], next_step=f"edit {shown}") from None
    except OSError as fault:
        raise ConfigError([f"{shown}: cannot be read: {fault.strerror}"]) from None
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise ConfigError([f'{shown}: extends: write the name of a file, such as "base.toml"'])
    return _merged(_read((file.parent / base).resolve(), root, (*seen, file)), table)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``over`` wins key by key; tables are merged, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _generated(file: Path, names: set[str]) -> dict[str, str]:
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = sorted(names - kept.keys())
    if missing:
        kept |= {name: secrets.token_urlsafe(24) for name in missing}
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(kept, stream)
        new.replace(file)
    return {name: kept[name] for name in names}
