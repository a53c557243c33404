"""Django's migrations, asked and told by the gate, in a process of the release.

The work of ``release_child``; its commands are

    facts            the migrations in the order they are applied, the last one of each application, and conflicts
    current          what is applied, the state (the last one of each application), what is pending, and what is ahead
    upgrade ''       everything up, as ``manage.py migrate`` does; an event at the start and the end of each migration
    downgrade STATE  down to a state, such as ``auth.0012_x shop.0003_y``; what is not in it goes as a whole
    sql STATE        the SQL of an upgrade from a state to the end
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

Node = tuple[str, str]


def run(gate: Any, settings: str, command: str, *arguments: str) -> None:
    """Does a command with the project of a settings module."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    django.setup()

    def connected(**_told: Any) -> None:
        """Settings of one's own may take another database, or options in place of PGOPTIONS."""
        with connection.cursor() as cursor:

            def ask(query: str) -> Any:
                cursor.execute(query)
                return cursor.fetchone()[0]

            gate.check_target(f"the default database of {settings}", ask)
            for setting in gate.settings:
                cursor.execute("SELECT set_config(%s, %s, false)", list(setting))

    connection_created.connect(connected, weak=False)
    _COMMANDS[command](gate, *arguments)


def _facts(gate: Any) -> None:
    loader = MigrationLoader(None)
    conflicts = [f"{app}.{name}" for app, names in sorted(loader.detect_conflicts().items()) for name in sorted(names)]
    revisions = [
        {
            "id": _id(node),
            "title": node[1].lstrip("0123456789").replace("_", " ").strip(),
            "file": _file(loader.graph.nodes[node]),
            "has_downgrade": _reversible(loader.graph.nodes[node].operations),
        }
        for node in _plan(loader)
    ]
    gate.tell(revisions=revisions, heads=_ids(loader.graph.leaf_nodes()), conflicts=conflicts)


def _current(gate: Any) -> None:
    loader = MigrationLoader(connection)
    loader.check_consistent_history(connection)
    ahead = _ahead(loader)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = cursor.fetchone()[0]
    gate.tell(
        applied=_ids(node for node in _plan(loader) if node in loader.applied_migrations),
        state=_ids(sorted((dict(_state(loader)) | dict(ahead)).items()) if ahead else _state(loader)),
        pending=_ids(node for node in _plan(loader) if node not in loader.applied_migrations),
        ahead=_ids(ahead),
        table=[schema, MigrationRecorder.Migration._meta.db_table],
    )


def _upgrade(gate: Any, _: str) -> None:
    _migrate(gate)
    gate.tell(done=True)


def _downgrade(gate: Any, state: str) -> None:
    before = MigrationLoader(connection)
    wanted = dict(_nodes(state))
    for app in sorted({app for app, _ in _state(before)}):
        _migrate(gate, app, wanted.get(app, "zero"))
    after = MigrationLoader(connection)
    if _ids(_state(after)) != sorted(state.split()):
        raise RuntimeError(f"the way back leads to {' '.join(_ids(_state(after)))}, not to {state}")
    _forget_models(_models(before) - _models(after))
    gate.tell(done=True)


def _sql(gate: Any, state: str) -> None:
    """Django looks up the names of constraints it would drop; the session cannot write."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    loader = MigrationLoader(connection)
    applied = {node for tip in _nodes(state) for node in loader.graph.forwards_plan(tip)}
    plan = [(loader.graph.nodes[node], False) for node in _plan(loader) if node not in applied]
    gate.tell(sql="\n".join(loader.collect_sql(plan)))


def _migrate(gate: Any, *target: str) -> None:
    """``manage.py migrate``, with its signals: permissions and content types are made by them."""
    command = migrate.Command(stdout=sys.stderr, stderr=sys.stderr)
    began = 0.0

    def progress(action: str, migration: Any = None, fake: bool = False) -> None:  # noqa: ARG001 - Django's signature
        nonlocal began
        if action in {"apply_start", "unapply_start"}:
            began = time.monotonic()
            gate.tell(begin=_id((migration.app_label, migration.name)), whole=migration.atomic)
        elif action in {"apply_success", "unapply_success"}:
            ended = _id((migration.app_label, migration.name))
            gate.tell(end=ended, seconds=round(time.monotonic() - began, 4))

    command.migration_progress_callback = progress
    call_command(command, *target, interactive=False, verbosity=0)


def _plan(loader: Any) -> list[Node]:
    """Every migration in the order Django applies them."""
    found: dict[Node, None] = {}
    for leaf in sorted(loader.graph.leaf_nodes()):
        found |= dict.fromkeys(loader.graph.forwards_plan(leaf))
    return list(found)


def _state(loader: Any) -> list[Node]:
    """The applied migrations that no applied one of the same application stands on."""
    applied = [node for node in loader.graph.nodes if node in loader.applied_migrations]
    below = {
        parent.key for node in applied for parent in loader.graph.node_map[node].parents if parent.key[0] == node[0]
    }
    return sorted(node for node in applied if node not in below)


def _ahead(loader: Any) -> list[Node]:
    """What a later release applied: rows of the project's applications above all that this release knows of them.

    Rows of applications that were taken out, and of migrations that were squashed long ago, stay for ever.
    """
    highest: dict[str, int] = {}
    rows = list(MigrationRecorder(connection).applied_migrations().values())
    known = set(loader.graph.nodes) | set(loader.disk_migrations)
    for row in rows:
        if (row.app, row.name) in known:
            highest[row.app] = max(highest.get(row.app, 0), row.id)
    found = [row for row in rows if row.app in loader.migrated_apps and (row.app, row.name) not in known]
    return [(row.app, row.name) for row in sorted(found, key=lambda row: row.id) if row.id > highest.get(row.app, 0)]


def _models(loader: Any) -> set[Node]:
    return set(loader.project_state(_state(loader)).models)


def _forget_models(models: set[Node]) -> None:
    """Drops the content types of models that are gone, and their permissions: what the way up made by signals."""
    from django.apps import apps

    if not apps.is_installed("django.contrib.contenttypes"):
        return
    from django.contrib.contenttypes.models import ContentType

    if ContentType._meta.db_table in connection.introspection.table_names():
        for app, model in sorted(models):
            ContentType.objects.filter(app_label=app, model=model).delete()


def _reversible(operations: Iterable[Any]) -> bool:
    """Whether all can be taken back; what is done to the database apart from the models is asked for itself."""
    return all(item.reversible and _reversible(getattr(item, "database_operations", ())) for item in operations)


def _file(migration: Any) -> str:
    """The path inside the release, or the module of a package's migration."""
    module = sys.modules[type(migration).__module__]
    file = Path(str(module.__file__))
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else module.__name__


def _id(node: Node) -> str:
    return ".".join(node)


def _ids(nodes: Iterable[Node]) -> list[str]:
    return [_id(node) for node in nodes]


def _nodes(state: str) -> list[Node]:
    return [(app, name) for app, _, name in (item.partition(".") for item in state.split())]


_COMMANDS: dict[str, Callable[..., None]] = {
    "facts": _facts,
    "current": _current,
    "upgrade": _upgrade,
    "downgrade": _downgrade,
    "sql": _sql,
}
