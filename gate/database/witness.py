"""What migrations do to the tables of a private copy: the locks they hold, and the tables that are written anew.

Event triggers tell, exactly and whatever tool migrates: the copy is ours, and its superuser may make them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gate.database.connection import connect
from gate.redact import Secret

# Weakest first; https://www.postgresql.org/docs/current/explicit-locking.html
_MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
_BEGIN = """
CREATE SCHEMA gate_witness;
CREATE TABLE gate_witness.seen (what text, name text, mode text);
CREATE FUNCTION gate_witness.locks() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO gate_witness.seen
    SELECT 'lock', quote_ident(n.nspname) || '.' || quote_ident(c.relname), l.mode
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p');
END $$;
CREATE FUNCTION gate_witness.rewrites() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO gate_witness.seen
    SELECT 'rewrite', quote_ident(n.nspname) || '.' || quote_ident(c.relname), ''
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = pg_event_trigger_table_rewrite_oid();
END $$;
CREATE EVENT TRIGGER gate_witness_locks ON ddl_command_end EXECUTE FUNCTION gate_witness.locks();
CREATE EVENT TRIGGER gate_witness_rewrites ON table_rewrite EXECUTE FUNCTION gate_witness.rewrites();
"""
_END = """
DROP EVENT TRIGGER gate_witness_locks;
DROP EVENT TRIGGER gate_witness_rewrites;
DROP SCHEMA gate_witness CASCADE;
"""


@dataclass
class Seen:
    """Tables by ``schema.name``: the strongest lock held on each when a statement had changed the schema, and those
    written anew."""

    locks: dict[str, str] = field(default_factory=dict)
    rewrites: list[str] = field(default_factory=list)


@contextmanager
def witness(superuser: Secret) -> Iterator[Seen]:
    """Watches every migration within the block; what was seen is there after it, and no trace of the watching.

    Raises DatabaseError.
    """
    with connect(superuser) as connection:
        connection.execute(_BEGIN)
    seen = Seen()
    yield seen
    with connect(superuser) as connection:
        rows = connection.execute("SELECT DISTINCT what, name, mode FROM gate_witness.seen ORDER BY 1, 2, 3").fetchall()
        connection.execute(_END)
    for what, name, mode in rows:
        if what == "rewrite":
            seen.rewrites.append(name)
        elif mode in _MODES:
            seen.locks[name] = max(mode, seen.locks.get(name, _MODES[0]), key=_MODES.index)
