"""What a sign-off for a release would be for, as it is now: the hashes of everything that decides about it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gate import environments
from gate.approval import authors
from gate.approval.signoffs import Subject
from gate.config import Environment
from gate.database import migrations
from gate.errors import GateError, OperationFailed
from gate.machine import bytecode
from gate.releases import Release

BESIDE = {"contacts", "notify", "publish", "releases", "retention", "stack", "state"}
"""Tables that decide nothing about a release: whom to call, where things lie and go, what is kept."""
_PASSWORD = re.compile(r"(://[^/@\s:]*):(?!\$\{)[^/@\s]+@")
"""Of a URL that holds one in so many words."""
_WITH_THE_SUITES = ("conftest.py", "pytest.ini", "fixtures")


def of(environment: Environment, release: Release) -> Subject:
    """The subject of a release in an environment. Raises OperationFailed where part of it cannot be read."""
    return Subject(
        application=environment.app.name,
        environment=environment.name,
        version=release.version,
        digest=release.digest,
        migrations=_migrations(environment, release),
        suite=_suite(environment),
        policy=_policy(environment),
        commit=" ".join((release.commit or "").split()),
        author=authors.declared(release),
    )


def _migrations(environment: Environment, release: Release) -> str:
    """The migrations that a release carries, each with the content of its file."""
    tool = migrations.create(environment, release)
    lines = []
    for item in tool.revisions() if tool is not None else ():
        file = release.folder / item.file
        lines.append(f"{item.id}\0{_content(file) if item.file and file.is_file() else ''}")
    return _hash(lines)


def _suite(environment: Environment) -> str:
    """Every file of the checks and smoke tests, of what they run with, and of what live traffic is judged by."""
    root = environment.root
    found = {file for place in places(environment) for file in bytecode.files(place) if not bytecode.is_bytecode(file)}
    return _hash(
        f"{file.relative_to(root) if file.is_relative_to(root) else file}\0{_content(file)}" for file in sorted(found)
    )


def places(environment: Environment) -> list[Path]:
    """The files and folders of the suite. Its bytecode is not hashed, so it has to be forgotten before it could run."""
    names = [*environment.checks.folders, *environment.smoke.folders, *_WITH_THE_SUITES]
    database = environment.database
    names += [name for name in (environment.traffic.synthetic, database and database.invariants) if name]
    return [environment.root / name for name in names]


def _policy(environment: Environment) -> str:
    """The environment's tables as they are written, every rule in force, the default ones as well, the signers, and
    how the environment is watched that a release soaks on.

    A variable counts by its name: its value may be another one on the machine of whoever signs, and no secret, nor a
    hash that it is part of, is kept.
    """
    tables = {name: table for name, table in environment.written.items() if name not in BESIDE | {"rules"}}
    rules = sorted(str(vars(rule)) for rule in environment.all_rules)
    return _hash([_text(tables), *rules, *_signers(environment), *_soak(environment)])


def _signers(environment: Environment) -> list[str]:
    """The file of allowed signers: a key that is added later has not been there when somebody signed."""
    name = environment.approval.allowed_signers
    if name is None:
        return []
    file = environment.root / name
    return [f"allowed signers {_content(file) if file.is_file() else 'missing'}"]


def _soak(environment: Environment) -> list[str]:
    """The file of the environment that a release has to soak on: how often and how strictly it is looked at there, and
    where that is kept. One that cannot be read is another one than any that can."""
    wanted = environment.schedule.soak
    if wanted is None:
        return []
    try:
        tables = environments.written(wanted.environment, environment.root)
    except GateError:  # the soak is a condition of its own, which says why
        return ["soak cannot be told"]
    return [f"soak {_text({name: table for name, table in tables.items() if name not in BESIDE - {'state'}})}"]


def _text(tables: dict[str, Any]) -> str:
    return json.dumps(_without_passwords(tables), sort_keys=True, default=str)


def _without_passwords(value: Any) -> Any:
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1:@", value)
    if isinstance(value, dict):
        return {key: _without_passwords(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_passwords(item) for item in value]
    return value


def _content(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as fault:
        raise OperationFailed(f"{file}: cannot be read: {fault.strerror}") from None


def _hash(lines: Iterable[str]) -> str:
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()
