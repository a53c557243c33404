"""The gate's docker engine beside what a Docker host has without it. Run: python -m benchmarks.engines [--rounds 3]

One small application, one Docker engine, and again and again, each under users on keep-alive connections who never
retry: a good release, the way back because a person says so, and a release that turns bad after its 100th order (it
answers errors, and says of itself that it is not ready). By the gate, by `docker service update` with its own
rollback, by `docker compose up`, and by an Ansible playbook that watches and takes back. Who can watch does so for
ten seconds. Prints a table on standard error and one JSON document on standard output; exit code 1 when the gate is
what failed.

Needs the Docker engine of tests/containers/setup; Docker Compose 2 (Debian 13's docker-compose, or Docker's plugin);
ansible-playbook, or a package index to install it from. A tool that is not to be had is left out, with the reason.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gated import Gate
from benchmarks.ordering import Answer, Users, counted, errors_of, moved_at
from benchmarks.rollouts import OTHERS, WATCH, AbsentError, Host, Outcome, Rollout, build, gone
from gate.errors import ShellError
from tests.containers.conftest import PLACE

FIRST, GOOD, BAD = "1.0.0", "1.1.0", "1.2.0"
FAULTS = {FIRST: f"none in {FIRST}", GOOD: f"none in {GOOD}", BAD: "turns-bad"}
LATER, LATER_IF_BAD = 1.0, 3.0
"""Seconds that users go on when the tool says that it is done."""

Act = dict[str, Any]


class Trial:
    """One way under users, act by act."""

    def __init__(self, rollout: Rollout, url: str, users: int) -> None:
        self._rollout = rollout
        self._url = url
        self._users = users

    def round(self) -> dict[str, Act]:
        """A good release, back by command, a bad one; then the first serves again."""
        good, kept = self._act(lambda: self._rollout.deploy(GOOD), leaving=FIRST, coming=GOOD)
        if kept is None or not kept.kept:
            raise ShellError("it did not keep a good release")
        back, _ = self._act(lambda: self._rollout.rollback(FIRST), leaving=GOOD, coming=FIRST)
        return {"good": good, "back": back, "bad": self._bad()}

    def _act(self, act: Callable[[], Outcome | None], leaving: str, coming: str) -> tuple[Act, Outcome | None]:
        users = Users(self._url, count=self._users)
        with users.ordering() as answers:
            users.go_on(LATER)
            began = time.time()
            outcome = act()
            seconds = time.time() - began
            users.go_on(LATER)
        moved = moved_at(answers, leaving, coming)
        if moved is None:
            raise ShellError(f"it was done, and users had not got {coming}")
        return {"seconds": seconds, "moved": moved - began} | counted(answers), outcome

    def _bad(self) -> Act:
        users = Users(self._url, count=self._users)
        with users.ordering() as answers:
            users.go_on(LATER)
            began = time.time()
            outcome = self._rollout.deploy(BAD)
            seconds = time.time() - began
            users.go_on(LATER_IF_BAD)
        met = errors_of(answers, BAD)
        if met is None:
            raise ShellError("users never met the bad release")
        taken_back = self._serves(FIRST, answers)
        if not taken_back:
            self._rollout.rollback(FIRST)
        late = None if outcome.decided is None else (met.last - outcome.decided) * 1000
        return {
            "seconds": seconds,
            "taken_back": taken_back,
            "errors_for": met.over - met.first if taken_back else None,
            "decision_to_last_bad_answer_ms": late,
        } | counted(answers)

    @staticmethod
    def _serves(release: str, answers: list[Answer]) -> bool:
        """Whether the last answer of all was its."""
        return bool(answers) and max(answers, key=lambda answer: answer.ended).release == release


def summed(rounds: list[dict[str, Act]]) -> dict[str, Act]:
    """Of all rounds: medians of times, sums of counts; of what not every round has, each figure."""
    return {
        name: {key: _of([each[name][key] for each in rounds], key) for key in act} for name, act in rounds[0].items()
    }


def _of(values: list[Any], key: str) -> Any:
    match key:
        case "errors_for" | "decision_to_last_bad_answer_ms":
            return sorted(round(value, 2) for value in values if value is not None)
        case "requests" | "failed" | "unanswered" | "taken_back":
            return sum(values)
        case "longest_ms":
            return max(values)
        case _:
            return round(statistics.median(values), 2)


def measure(host: Host, rounds: int, users: int, told: Callable[[str], None]) -> dict[str, Any]:
    """All ways, one after the other."""
    tools: dict[str, dict[str, Act]] = {}
    left_out: dict[str, str] = {}
    for make in (Gate, *OTHERS):
        rollout: Rollout = make(host)
        told(f"{rollout.name}: setting up")
        try:
            trial = Trial(rollout, rollout.up(FIRST), users)
            done = []
            for number in range(1, rounds + 1):
                told(f"{rollout.name}: round {number} of {rounds}")
                done.append(trial.round())
            tools[rollout.name] = summed(done)
        except (AbsentError, ShellError) as fault:
            left_out[rollout.name] = " ".join(str(fault).split())
            print(f"left out: {rollout.name}: {fault}", file=sys.stderr)
        finally:
            rollout.down()
    return {"rounds": rounds, "users": users, "watch_seconds": WATCH, "tools": tools, "left_out": left_out}


def show(result: dict[str, Any]) -> None:
    console = Console(stderr=True)
    titles = {"good": "a good release", "back": "back by command", "bad": "a release that turns bad"}
    for name, title in titles.items():
        table = Table("", *result["tools"], title=title)
        acts = [each[name] for each in result["tools"].values()]
        for key in acts[0] if acts else []:
            table.add_row(key.replace("_", " "), *(str(act[key]) for act in acts))
        console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=4)
    arguments = parser.parse_args()
    if not (PLACE / "docker.sock").is_socket():
        parser.error("no Docker engine to measure on: tests/containers/setup starts one")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="gb-", dir="/tmp") as place, console.status("building") as status:
        host = Host(f"unix://{PLACE}/docker.sock", Path(place))
        try:
            for version, fault in FAULTS.items():
                build(host, version, fault)
            result = measure(host, arguments.rounds, arguments.users, status.update)
        finally:
            gone(host, list(FAULTS))
    show(result)
    print(json.dumps(result, indent=1))
    return 0 if Gate.name in result["tools"] else 1


if __name__ == "__main__":
    sys.exit(main())
