"""What is made of a swarm's word: scripted where a real swarm would say it only once in many times.

Those on a real one are in test_dying_nodes.py and in tests/everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gate.config import SwarmSettings
from gate.containers.client import Silent
from gate.containers.rollout import Rollout
from gate.containers.swarm import Table, orphaned
from gate.engines.base import ServiceState
from gate.errors import EngineError
from gate.steps.start import remark
from tests.evidence.runs import made_run

OLD, NEW = f"registry.example/app:1.0.0@sha256:{'a' * 64}", f"registry.example/app:1.1.0@sha256:{'b' * 64}"
SETTINGS = SwarmSettings.model_validate({"kind": "swarm", "stack": "s", "timeout": "1500ms", "monitor": "5s"})


def task(image: str, node: str = "a", *, state: str = "running", desired: str = "running") -> Table:
    return {
        "ID": f"{node}-{image[-1]}-{state}",
        "NodeID": node,
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Image": image}},
        "Status": {"State": state},
    }


class Scripted:
    """A manager of one service, whose update goes as ``then`` says, which is called with each order."""

    def __init__(self, image: str, tasks: list[Table], *, state: str = "", then: Callable[[Scripted], None]) -> None:
        self.update: Table | None = {"State": state, "StartedAt": "0", "Message": "as it is"} if state else None
        self.image, self.all_tasks, self._then = image, tasks, then
        self.previous: Table | None = None
        self.states = {"a": "ready", "b": "ready"}
        self.orders: list[tuple[Table, Mapping[str, str]]] = []
        self.silent = 0
        self.has_health_check = False

    def service(self, name: str, *, patient: bool = True) -> Table:
        if self.silent and not patient:
            self.silent -= 1
            raise Silent(f"service {name}: nobody leads")
        template = {"ContainerSpec": {"Image": self.image}}
        told: Table = {"Spec": {"TaskTemplate": template}, "PreviousSpec": self.previous}
        return {**told, "UpdateStatus": dict(self.update)} if self.update else told

    def tasks(self, name: str, *, patient: bool = True) -> list[Table]:  # noqa: ARG002 - as the manager's
        return self.all_tasks

    def nodes(self, *, patient: bool = True) -> dict[str, Table]:  # noqa: ARG002 - as the manager's
        return {
            name: {"Status": {"State": state}, "Description": {"Hostname": f"node-{name}"}}
            for name, state in self.states.items()
        }

    def checks_health(self, service: Table, image: str) -> bool:  # noqa: ARG002 - as the manager's
        return self.has_health_check

    def order(self, service: Table, spec: Table, how: Mapping[str, str]) -> None:  # noqa: ARG002 - as the manager's
        self.orders.append((spec, how))
        self.image = NEW if how else spec["TaskTemplate"]["ContainerSpec"]["Image"]
        self._then(self)

    def says(self, state: str) -> None:
        self.update = {"State": state, "StartedAt": str(len(self.orders)), "Message": "as it is"}


def nothing(_: Scripted) -> None:
    """Swarm does nothing."""


def completes(swarm: Scripted) -> None:
    swarm.all_tasks = [task(NEW)]
    swarm.says("completed")


def rollout(swarm: Scripted, *, back: bool = False) -> None:
    Rollout(swarm, SETTINGS, "web", NEW, back=back).run()


def test_an_update_is_ordered_once_and_as_the_gate_wants_it() -> None:
    swarm = Scripted(OLD, [task(OLD)], state="completed", then=completes)
    rollout(swarm)
    rollout(swarm)
    (spec, how), *others = swarm.orders
    assert (others, how) == ([], {})
    assert spec["UpdateConfig"] == spec["RollbackConfig"]
    assert (spec["UpdateConfig"]["Order"], spec["UpdateConfig"]["FailureAction"]) == ("start-first", "pause")
    # `Monitor` alone keeps no task waiting: without a delay all are replaced before the first could have failed.
    assert spec["UpdateConfig"]["Delay"] == spec["UpdateConfig"]["Monitor"] == 5_000_000_000


def test_the_way_back_is_hurried_where_swarm_can_tell_that_a_task_serves() -> None:
    swarm = Scripted(OLD, [task(OLD)], then=completes)
    swarm.has_health_check = True
    rollout(swarm)
    ((spec, _),) = swarm.orders
    assert (spec["UpdateConfig"]["Delay"], spec["RollbackConfig"]["Delay"]) == (5_000_000_000, 0)
    swarm = Scripted(OLD, [task(OLD)], then=completes)
    swarm.has_health_check = True
    rollout(swarm, back=True)
    ((spec, _),) = swarm.orders
    assert spec["UpdateConfig"]["Delay"] == 0


@pytest.mark.parametrize("state", ["ready", "unknown"])
def test_completed_is_not_believed_while_another_image_answers(state: str) -> None:
    def too_early(swarm: Scripted) -> None:
        swarm.all_tasks = [task(NEW), task(OLD, "b", desired="shutdown")]
        swarm.states["b"] = state
        swarm.says("completed")

    with pytest.raises(EngineError, match="another image that do not end: 1"):
        rollout(Scripted(OLD, [task(OLD)], then=too_early))


def test_nor_is_it_believed_of_an_update_that_was_completed_before() -> None:
    swarm = Scripted(NEW, [task(NEW), task(OLD, "b", desired="shutdown")], state="completed", then=nothing)
    with pytest.raises(EngineError, match="another image that do not end: 1"):
        rollout(swarm)
    assert swarm.orders == []


def test_a_task_that_nobody_can_end_is_not_waited_for() -> None:
    def with_an_orphan(swarm: Scripted) -> None:
        swarm.all_tasks = [task(NEW), task(OLD, "b", desired="shutdown")]
        swarm.states["b"] = "down"
        swarm.says("completed")

    swarm = Scripted(OLD, [task(OLD)], then=with_an_orphan)
    rollout(swarm)
    told = orphaned(swarm.nodes(), swarm.all_tasks)
    assert told == "1 task of 1.0.0 may still answer users on node-b, which is gone; not counted"


@pytest.mark.parametrize(
    ("state", "desired", "node"),
    [("running", "running", "ready"), ("running", "running", "unknown"), ("shutdown", "shutdown", "down")],
)
def test_no_orphan_is_told_where_there_is_none(state: str, desired: str, node: str) -> None:
    nodes: dict[str, Any] = {"a": {"Status": {"State": node}, "Description": {"Hostname": "node-a"}}}
    assert orphaned(nodes, [task(OLD, state=state, desired=desired)]) == ""


@pytest.mark.parametrize("state", ["paused", "rollback_paused", "rollback_completed"])
def test_what_swarm_gave_up_has_failed_and_says_why(state: str) -> None:
    def fails(swarm: Scripted) -> None:
        ended = task(NEW, state="failed", desired="shutdown")
        ended["Status"]["Err"] = "task: non-zero exit (3)"
        swarm.all_tasks = [task(OLD), ended]
        swarm.says(state)
        if state == "rollback_completed":  # somebody's stack file says so
            swarm.image = OLD

    with pytest.raises(EngineError, match=rf"web: {state}: as it is \(task: non-zero exit \(3\)\)"):
        rollout(Scripted(OLD, [task(OLD)], then=fails))


@pytest.mark.parametrize(
    ("state", "health_check", "told"),
    [
        ("failed", False, "web: a task has failed; neither its image nor the stack file has a health check"),
        ("rejected", True, r"web: a task has failed\Z"),
        ("complete", True, r"web: a task has failed\Z"),
    ],
)
def test_a_task_that_fails_too_late_for_swarm_ends_the_update(state: str, health_check: bool, told: str) -> None:
    def fails_late(swarm: Scripted) -> None:
        swarm.all_tasks = [task(OLD), task(NEW, "b", state=state, desired="shutdown")]
        swarm.says("updating")

    swarm = Scripted(OLD, [task(OLD)], then=fails_late)
    swarm.has_health_check = health_check
    with pytest.raises(EngineError, match=told):
        rollout(swarm)


@pytest.mark.parametrize(
    ("node", "before", "back"),
    [("down", False, False), ("ready", True, False), ("ready", False, True)],
    ids=["its node was away", "it failed before", "it served before"],
)
def test_a_task_that_failed_for_another_reason_ends_nothing(node: str, before: bool, back: bool) -> None:
    failed = task(NEW, "b", state="failed", desired="shutdown")

    def goes(swarm: Scripted) -> None:
        swarm.all_tasks = [task(OLD), failed]
        swarm.states["b"] = node
        swarm.says("updating")

    swarm = Scripted(OLD, [task(OLD), *([failed] if before else [])], then=goes)
    with pytest.raises(EngineError, match=r"not updated within 1\.5 s: as it is"):
        rollout(swarm, back=back)


def test_what_swarm_gave_up_before_is_ordered_anew_and_not_taken_for_done() -> None:
    swarm = Scripted(NEW, [task(OLD)], state="paused", then=completes)
    rollout(swarm)
    assert len(swarm.orders) == 1


def test_an_update_that_waits_for_a_dead_node_is_forced_once() -> None:
    def goes(swarm: Scripted) -> None:
        if len(swarm.orders) == 1:
            swarm.all_tasks = [task(OLD), task(NEW, "b", state="assigned")]
            swarm.states["b"] = "down"
            swarm.says("updating")
        else:
            swarm.all_tasks = [task(NEW), task(NEW, "b", state="assigned", desired="shutdown")]
            swarm.says("completed")

    swarm = Scripted(OLD, [task(OLD)], then=goes)
    rollout(swarm)
    assert [spec["TaskTemplate"].get("ForceUpdate", 0) for spec, _ in swarm.orders] == [0, 1]


def test_silence_while_a_leader_is_elected_is_waited_out_and_told_when_it_lasts() -> None:
    swarm = Scripted(OLD, [task(OLD)], then=completes)
    swarm.silent = 1
    rollout(swarm)
    assert len(swarm.orders) == 1

    def falls_silent(swarm: Scripted) -> None:
        swarm.silent = 100

    with pytest.raises(EngineError, match=r"not updated within 1\.5 s: service web: nobody leads"):
        rollout(Scripted(OLD, [task(OLD)], then=falls_silent))


@pytest.mark.parametrize("ours", [True, False])
def test_swarms_own_way_back_is_taken_only_where_it_is_the_gates(ours: bool) -> None:
    swarm = Scripted(OLD, [task(OLD)], then=completes)
    seconds = 5_000_000_000
    how = {
        "Parallelism": 1,
        "Order": "start-first",
        "FailureAction": "pause",
        "Monitor": seconds,
        "Delay": seconds,
    }
    teams = {"Parallelism": 1, "Order": "stop-first"}
    swarm.previous = {
        "TaskTemplate": {"ContainerSpec": {"Image": NEW}},
        "RollbackConfig": how if ours else teams,
    }
    rollout(swarm, back=True)
    assert [how for _, how in swarm.orders] == [{"rollback": "previous"} if ours else {}]


def test_what_a_person_should_know_of_a_healthy_service_is_noted_once(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    orphan = ServiceState("web", alive=True, healthy=True, detail="1 task may still answer users")
    for _ in range(2):
        remark(run, [orphan, ServiceState("other", alive=True, healthy=True)])
        remark(run, [ServiceState("web", alive=True, healthy=False, detail="2 of 3 tasks run 1.1.0")])
    assert run.evidence.notes == ["web: 1 task may still answer users"]
