"""Where the gate's own records lie: a file of this machine, or a PostgreSQL that a team shares."""

from __future__ import annotations

from pathlib import Path

from gate.config import Environment
from gate.records.place import Place
from gate.records.sqlite import SqliteFile
from gate.redact import Secret


def place_of(environment: Environment) -> Place:
    """The place that ``[state]`` of an environment file names."""
    return place_at(environment.app.name, environment.name, environment.state_folder, environment.state.url)


def place_at(app: str, name: str, folder: Path, url: Secret | None) -> Place:
    """The place of an application's environment ``name``: in its state ``folder``, or in a PostgreSQL."""
    if url is None:
        return SqliteFile(Path(folder) / "gate.db")
    from gate.records.postgres import PostgresSchema, schema_name

    return PostgresSchema(url, schema_name(app, name))


def file_of(environment: Environment) -> SqliteFile:
    """The file beside the environment's other state; also for what could not be recorded where it should have been."""
    return SqliteFile(Path(environment.state_folder) / "gate.db")
