"""One deployment at a time: a lock that dies with its holder and tells who holds it.

On this machine it is the kernel's lock on a file. Where several machines share their records, PostgreSQL's lock comes
on top: the file keeps two runs on one machine apart, the server those of two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gate.config import Environment
from gate.errors import Locked, OperationFailed
from gate.machine import flock
from gate.machine.account import whoami
from gate.machine.shell import wait_until

if TYPE_CHECKING:
    from gate.records.advisory import AdvisoryLock


RUNS = "lock"
"""The lock of whoever changes anything."""
LOOKS = "monitoring.lock"
"""The lock of whoever only looks for the monitoring: keeps two looks apart, and nobody else."""

_LOOKS = 0.3  # seconds: longer than anybody looks


class Lock:
    """A lock of one environment: of its ``RUNS``, or of its ``LOOKS``."""

    def __init__(self, environment: Environment, name: str = RUNS) -> None:
        self._file = environment.state_folder / name
        self._shared = _shared(environment, name)
        self._handle: int | None = None
        self._alone = False

    @contextmanager
    def held(self, purpose: str, *, alone: bool = False) -> Iterator[None]:
        """Holds it for a block. Raises Locked, naming the holder, when another process has it; OperationFailed.

        The kernel, or the server, frees it when the holder dies, however it dies. ``alone``: only on this machine,
        where the server that knows of the others does not answer and waiting for it would be worse.
        """
        self._alone = alone
        shared = nullcontext() if self._shared is None or alone else self._shared.held(_signed(purpose))
        with self._on_this_machine(purpose), shared:
            yield

    def demand(self) -> None:
        """Raises OperationFailed unless the lock is still ours: its file may be replaced, a connection may be lost."""
        if self._handle is None:
            raise OperationFailed("the lock of this environment is not held")
        if not self._ours_here():
            raise OperationFailed(f"{self._file}: the lock's file was replaced: another run may hold this environment")
        if self._shared is not None and not self._alone:
            self._shared.demand()

    def ours(self) -> bool:
        """Whether we hold it, everywhere."""
        with suppress(OperationFailed):
            self.demand()
            return True
        return False

    def _ours_here(self) -> bool:
        """Whether we hold the file that everybody on this machine asks for."""
        try:
            return self._handle is not None and os.path.samestat(os.fstat(self._handle), self._file.stat())
        except OSError:
            return False

    def rival(self) -> str | None:
        """Who holds the environment in our place, once the lock was lost; None where nobody does, or nobody tells."""
        with suppress(OperationFailed):
            self.demand()
            return None
        with suppress(OperationFailed):
            if not self._ours_here():
                return self.holder()
            found = self._shared.holder() if self._shared is not None else None
            return found.told if found is not None else None
        return None

    def holder(self) -> str | None:
        """Who holds it now, None when nobody does. Raises OperationFailed where that cannot be told."""
        here = self._holder_on_this_machine()
        if here is not None or self._shared is None:
            return here
        found = self._shared.holder()
        return found.told if found is not None else None

    def free(self) -> str:
        """Frees it from a holder that is provably gone; one line about it. Raises Locked where it is not, or may not
        be, gone."""
        here = self._holder_on_this_machine()
        found = self._shared.holder() if self._shared is not None else None
        if here is not None or (found is not None and found.here and not found.gone):
            told = here or (found.told if found is not None else "")
            raise Locked(f"held by {told}, which runs on this machine", next_step="end it, or wait: it is free then")
        if self._shared is None or found is None:
            return "nobody holds it"
        if not found.gone:
            raise Locked(
                f"held by {found.told}; whether that run is gone cannot be told from this machine",
                next_step=f"run this on {found.host or 'the machine it ran on'}; or, if you are sure that it is gone, "
                f"in the database: SELECT pg_terminate_backend({found.session})",
            )
        self._shared.end(found)
        return f"was held by {found.told}, whose process is gone: freed"

    @contextmanager
    def _on_this_machine(self, purpose: str) -> Iterator[None]:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as fault:
            raise OperationFailed(f"{self._file}: the lock cannot be opened: {fault.strerror}") from None
        try:
            # Somebody asking who holds it has it for a moment, hence the short patience.
            if not wait_until(lambda: flock.exclusive(handle), timeout=_LOOKS, every=0.01):
                raise Locked(
                    f"another run holds this environment: {_described(self._file)}",
                    next_step="wait for it to end; the lock is free the moment its holder is gone",
                )
            told = {"told": _signed(purpose), "since": datetime.now(UTC).isoformat(timespec="seconds")}
            with suppress(OSError):  # a full disk: the lock is held all the same
                os.ftruncate(handle, 0)
                os.write(handle, f" {json.dumps(told)}".encode())
            self._handle = handle
            yield
            os.ftruncate(handle, 0)
        finally:
            self._handle = None
            os.close(handle)

    def _holder_on_this_machine(self) -> str | None:
        try:
            handle = os.open(self._file, os.O_RDWR)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise OperationFailed(f"{self._file}: who holds it cannot be told: {fault.strerror}") from None
        try:
            return None if flock.shared(handle) else _described(self._file)
        finally:
            os.close(handle)


def _shared(environment: Environment, name: str) -> AdvisoryLock | None:
    if environment.state.url is None:
        return None
    from gate.records.advisory import AdvisoryLock
    from gate.records.postgres import PostgresSchema, schema_name

    schema = PostgresSchema(environment.state.url, schema_name(environment.app.name, environment.name))
    return AdvisoryLock(schema) if name == RUNS else AdvisoryLock(schema, name)


def _signed(purpose: str) -> str:
    return f"{purpose} by {whoami()} (process {os.getpid()})"


def _described(file: Path) -> str:
    try:
        told = json.loads(_read(file))
        return f"{told['told']} since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # taken this very moment: its holder has not written yet
        return "a run that has just begun"


def _read(file: Path) -> bytes:
    """What a holder wrote. Where a lock also keeps others from reading, it is the first byte that is locked."""
    with file.open("rb", buffering=0) as stream:
        try:
            return stream.read()
        except PermissionError:
            stream.seek(1)
            return stream.read()
