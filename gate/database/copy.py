"""A private copy of the live database, and the dry run of a release's migrations on it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gate.config import Environment
from gate.database import fingerprint, migrations
from gate.database.cluster import scratch
from gate.database.connection import connect, where
from gate.database.dump import SPARE, Progress, check_space, dump, restore, size
from gate.database.migrations import Migration, Migrations, Ran
from gate.database.origin import make_room, origin_of
from gate.database.witness import witness
from gate.errors import DatabaseError
from gate.redact import Secret
from gate.releases import Release


@dataclass(frozen=True)
class DryRun:
    """Migrations that ran up, down and up again on a copy; times in seconds.

    ``revisions``: what was pending, in order; ``up`` and ``down``: how long each one took.
    ``locks``: the strongest lock on each table that was there before, and ``rewrites``: which of these are written
    anew, as ``schema.name``, with how many rows; both on the way up. ``schema_differences`` and ``data_differences``:
    how the way down left the copy unlike it was before, if it was gone.
    """

    revisions: tuple[Migration, ...]
    start: str | None
    head: str | None
    up: tuple[Ran, ...] = ()
    down: tuple[Ran, ...] = ()
    copy_seconds: float = 0.0
    up_seconds: float = 0.0
    down_seconds: float = 0.0
    locks: tuple[tuple[str, str], ...] = ()
    rewrites: tuple[tuple[str, int], ...] = ()
    schema_differences: tuple[str, ...] = ()
    data_differences: tuple[str, ...] = ()
    went_back: bool = True

    @property
    def equal(self) -> bool:
        """Whether the way down led back to where it began."""
        return self.went_back and not self.schema_differences and not self.data_differences


@contextmanager
def private_copy(
    environment: Environment, folder: Path | None = None, progress: Progress = lambda _: None
) -> Iterator[Secret]:
    """The URL of a copy of the live database, in a private server below ``folder``; gone afterwards.

    Its user has the name and the rights the live one has. Raises DatabaseError.
    """
    with _copied(environment, folder, progress) as (url, _):
        yield url


@contextmanager
def _copied(environment: Environment, folder: Path | None, progress: Progress) -> Iterator[tuple[Secret, Secret]]:
    """The same, and the URL of the copy for its superuser."""
    database = environment.database
    if database is None:
        raise DatabaseError(f"{environment.file}: there is no [database] to copy")
    folder = folder or environment.state_folder / "scratch"
    with connect(database.url) as connection:
        origin = origin_of(connection)
    # The dump is not compressed and lies beside the copy until that is filled.
    check_space(folder, origin.size_bytes * 5 // 2 + SPARE, f"a private copy of {where(database.url)}")
    with scratch(folder) as cluster:
        url = make_room(cluster, origin, like=database.url)
        with tempfile.TemporaryDirectory(dir=cluster.folder, prefix="dump-") as place:
            file = Path(place) / "live.dump"
            dump(
                database.url,
                file,
                server=origin.major,
                compression=0,
                lock_timeout=database.lock_timeout,
                tick=lambda: progress(f"copying, {size(file.stat().st_size)} of {size(origin.size_bytes)}"),
            )
            restore(file, cluster.url(origin.database), tick=lambda: progress("copying, being restored"))
        yield url, cluster.url(origin.database)


def dry_run(
    environment: Environment,
    release: Release,
    folder: Path | None = None,
    progress: Progress = lambda _: None,
    *,
    then: Callable[[Secret], None] = lambda _: None,
    back: bool = True,
) -> DryRun:
    """Runs a release's pending migrations on a private copy: up, down to where it was, compared, and if equal up again.

    ``then`` gets the copy's URL once it has the new schema for the second time; without ``back``, for migrations that
    are known to be irreversible, for the first time. With nothing pending nothing is copied
    and ``revisions`` is empty. Raises MigrationFailed naming the revision, UnknownRevision, DatabaseError.
    """
    database = environment.database
    tool = migrations.create(environment, release, progress)
    if database is None or tool is None:
        raise DatabaseError(f"{environment.file}: there is no [database] with migrations")
    pending = tuple(tool.pending(database.url))
    start = tool.current(database.url)
    if not pending:
        return DryRun((), start, tool.head())
    began = time.monotonic()
    with _copied(environment, folder, progress) as (url, superuser):
        copied = time.monotonic() - began
        plan = DryRun(pending, start, tool.head(), copy_seconds=copied, went_back=back)
        found = _up_and_down(tool, url, superuser, plan, progress)
        if found.equal or not back:
            then(url)
        return found


def _up_and_down(tool: Migrations, url: Secret, superuser: Secret, plan: DryRun, progress: Progress) -> DryRun:
    schema, data, sequences = fingerprint.schema(url), fingerprint.data(url), fingerprint.sequences(url)
    progress(f"{len(plan.revisions)} migrations up")
    with witness(superuser) as seen:
        up, up_seconds = _timed(lambda: tool.upgrade(url))
    locks = tuple((name, mode) for name, mode in seen.locks.items() if name in data)
    rewrites = tuple((name, data[name].rows) for name in seen.rewrites if name in data)
    plan = replace(plan, up=tuple(up), up_seconds=up_seconds, locks=locks, rewrites=rewrites)
    if not plan.went_back:
        return plan
    progress(f"{len(plan.revisions)} migrations down")
    down, down_seconds = _timed(lambda: tool.downgrade(url, plan.start))
    found = fingerprint.data_difference(data, fingerprint.data(url))
    found += fingerprint.sequence_difference(sequences, fingerprint.sequences(url))
    left = fingerprint.difference(schema, fingerprint.schema(url))
    if not left and not found:  # up again from elsewhere would fail, and hide what differs
        progress(f"{len(plan.revisions)} migrations up again")
        tool.upgrade(url)
    return replace(
        plan,
        down=tuple(down),
        down_seconds=down_seconds,
        schema_differences=tuple(left),
        data_differences=tuple(found),
    )


def _timed(act: Callable[[], list[Ran]]) -> tuple[list[Ran], float]:
    began = time.monotonic()
    return act(), time.monotonic() - began
