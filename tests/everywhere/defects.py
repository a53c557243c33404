"""What a release may have wrong; at which step, and by which word of the gate's, each engine must stop it.

python -m tests.everywhere.defects          prints the table of docs/engines.md
"""

from __future__ import annotations

from dataclasses import dataclass

SIDE_BY_SIDE = ("process", "docker", "docker over SSH")
"""Where a release is started, and tested, beside the one that serves."""
EVERYWHERE = (*SIDE_BY_SIDE, "swarm")


@dataclass(frozen=True)
class Stopped:
    """At one of these steps, for a reason that has one of these words.

    ``answers``: what orders of users are answered by the defect itself; without, nobody notices it.
    """

    steps: tuple[str, ...]
    words: tuple[str, ...]
    answers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Defect:
    """``beside``: how it is stopped where it can be tested beside the one that serves; ``replacing``: where it replaces
    that one, or why nothing can tell it there."""

    wrong: str
    beside: Stopped
    replacing: Stopped | str
    start_timeout: str = "60s"
    cpu: float = 0.5  # cores that the file allows it

    def on(self, kind: str) -> Stopped | str:
        return self.beside if kind in SIDE_BY_SIDE else self.replacing


_FRONT = "smoke at the front door"
_LIVE = ("canary", _FRONT, "bake")
"""Looked at once a second: a canary that has proven itself may have ended by then."""
_BROKEN = (502,)  # by the front door: who was asked is gone
_TASKS_DIE = Stopped(
    ("promote", _FRONT, "bake"), ("a task has failed", "paused", "services_lost", "tasks run"), _BROKEN
)
_NOT_MEASURED = "a manager does not see what tasks on other nodes use"

DEFECTS = {
    "crashes": Defect(
        "It ends while it starts.",
        Stopped(("health",), ("has ended",)),
        Stopped(("promote",), ("paused", "a task has failed")),
    ),
    "never-ready": Defect(
        "`/ready` answers 503 for ever.",
        Stopped(("health",), ("not healthy: web",)),
        Stopped(("promote",), ("paused", "a task has failed")),
        start_timeout="3s",
    ),
    "lies": Defect(
        "It answers as another version.",
        Stopped(("smoke",), ("answers as 9.9.9",)),
        Stopped((_FRONT,), ("answers as 9.9.9", "wrong_identity")),
    ),
    "refuses-orders": Defect(
        "It answers every order with 500.",
        Stopped(("smoke",), ("An order is taken",)),
        Stopped((_FRONT,), ("An order is taken", "error_rate"), (500,)),
    ),
    "fails-users": Defect(
        "It answers users' orders with 500, and those of the smoke tests well.",
        Stopped(("canary",), ("error_rate",), (500,)),
        Stopped((_FRONT, "bake"), ("error_rate",), (500,)),
    ),
    "slow": Defect(
        "Users' orders take 2 s longer, those of the smoke tests do not.",
        Stopped(("canary",), ("slower_than_stable", "response_time")),
        Stopped((_FRONT, "bake"), ("response_time",)),  # nothing serves beside it to compare it with
    ),
    "dies": Defect(
        "It dies in the middle of a user's order.",
        Stopped(("canary",), ("has ended", "error_rate"), _BROKEN),
        _TASKS_DIE,
    ),
    "logs-errors": Defect(
        "It writes an error line for a user's order.",
        Stopped(("canary",), ("log_error_rate",)),
        Stopped((_FRONT, "bake"), ("log_error",)),
    ),
    "ignores-sigterm": Defect(
        "It goes on after SIGTERM.",
        Stopped(("smoke",), ("after SIGTERM",)),
        "no second instance can be started and stopped beside what serves; Swarm kills it after its grace period",
    ),
    "burns-cpu": Defect(
        "Users' orders keep the processors busy.",
        Stopped(_LIVE, ("cpu", "slower_than_stable", "response_time")),
        _NOT_MEASURED,
        cpu=0.25,  # as much as it gets on a machine that is busy with other tests
    ),
    "eats-memory": Defect(
        "A user's order takes more memory than the limit.",
        Stopped(_LIVE, ("memory", "error_rate", "services_lost"), _BROKEN),
        _TASKS_DIE,  # the kernel ends them
    ),
}
"""By the name of its fault in app.py."""


def table() -> str:
    """What is tried, as Markdown."""
    lines = [f"| defect | {' | '.join(EVERYWHERE)} |", f"|---|{'---|' * len(EVERYWHERE)}"]
    for defect in DEFECTS.values():
        cells = (_cell(defect.on(kind)) for kind in EVERYWHERE)
        lines.append(f"| {defect.wrong} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(stopped: Stopped | str) -> str:
    return f"*not told*: {stopped}" if isinstance(stopped, str) else " or ".join(stopped.steps)


if __name__ == "__main__":
    print(table())
