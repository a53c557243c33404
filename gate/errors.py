"""Every error the gate raises on purpose.

    GateError
    ├── UsageError              the command is wrong; nothing was touched (exit 2)
    │   └── ConfigError         an environment file is wrong: names file, key and what was expected
    ├── Refused                 NO-GO before anything was touched (exit 3)
    ├── Locked                  another deployment holds the environment, or left it unfinished (exit 5)
    └── OperationFailed         something the gate tried did not work; the pipeline undoes
        ├── ShellError          a command failed, timed out or could not start
        ├── EngineError         the engine could not do as asked
        ├── StackError          the embedded stack could not start or stop
        ├── DatabaseError       the database, a backup or a migration failed
        └── SuiteError          pytest itself could not run

A foreign exception is turned into one of these where it enters the gate, and never recognised by its English text.
``next_step`` is the command or action that helps; it is shown on a line of its own.
"""

from __future__ import annotations


class GateError(Exception):
    """Base of all errors the gate raises on purpose; ``next_step`` says what to do about it."""

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.next_step = next_step


class UsageError(GateError):
    """The command line asks for something that does not exist or cannot be."""


class ConfigError(UsageError):
    """One or more faults of an environment file, each naming file, key and what was expected."""

    def __init__(self, problems: list[str], *, next_step: str | None = None) -> None:
        super().__init__("\n".join(problems), next_step=next_step)
        self.problems = problems


class Refused(GateError):  # noqa: N818 - an outcome of the contract, not an accident
    """The release may not be deployed; nothing was touched."""


class Locked(GateError):  # noqa: N818 - an outcome of the contract, not an accident
    """The environment is held by another deployment, or a dead one left it unfinished."""


class OperationFailed(GateError):  # noqa: N818 - read as "the operation failed"
    """Something the gate tried did not work."""


class ShellError(OperationFailed):
    """A command failed, timed out or could not be started."""


class EngineError(OperationFailed):
    """The engine could not do as asked."""


class StackError(OperationFailed):
    """A part of the embedded stack could not start or stop."""


class DatabaseError(OperationFailed):
    """The database did not answer, or a backup, a restore or a migration failed."""


class SuiteError(OperationFailed):
    """pytest itself could not run the suite."""
