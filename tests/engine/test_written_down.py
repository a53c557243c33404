"""What an instance is, written down when it was started: it stays so, holds no secret, and damage is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gate.engines.process import ProcessEngine
from gate.errors import EngineError
from gate.machine.shell import wait_until
from gate.machine.supervise import Process
from tests.engine.site import WORKER, Site, changed, folder, kill, read, site, table, web


def test_a_stable_instance_whose_folder_is_gone_is_an_error_not_nothing(here: Site) -> None:
    here.traffic.set_stable("r9")
    with pytest.raises(EngineError, match="r9"):
        here.engine.stable()


def test_damaged_facts_are_an_error_that_names_the_file(here: Site) -> None:
    instance = here.start(here.release("1.0.0"), "r1")
    file: Path = here.environment.state_folder / "rel" / "r1" / "instance.json"
    kept = file.read_text()
    file.write_text("{")
    with pytest.raises(EngineError, match=r"instance\.json"):
        here.engine.find("r1")
    file.write_text(kept)
    assert here.engine.find("r1") == instance


def test_an_instance_takes_traffic_back_when_the_file_has_other_services_since() -> None:
    with site(services={"web": web(), "worker": WORKER}) as here:
        old = here.serve("1.0.0", "r1")
        later = changed(here, {"web": web(), "jobs": WORKER, "mailer": {"command": WORKER["command"]}})
        later.serve("1.1.0", "r2")
        place = here.environment.state_folder / "rel"
        assert not Process(place / "r1", "worker").held()
        later.engine.promote(old)
        assert here.get().json()["version"] == "1.0.0"
        assert [(state.service, state.healthy) for state in later.engine.health(old)] == [
            ("web", True),
            ("worker", True),
        ]
        assert not Process(place / "r2", "jobs").held()
        assert Process(place / "r2", "mailer").alive()
        assert later.engine.drain(old, 5).complete
        assert [stopped.service for stopped in later.engine.stop(old)] == ["web", "worker"]


def test_an_instance_is_revived_and_judged_as_it_was_first_described() -> None:
    limits = {"cpu": 0.5, "memory": "64M"}
    with site(services={"web": web(limits=limits), "worker": WORKER}) as here:
        release = here.release("1.0.0")
        old = here.start(release, "r1")
        here.engine.promote(old)
        described = here.engine._services("r1")
        kill(here, "r1")
        kill(here, "r1", "worker")
        later = changed(here, {"web": web(command=["false"], ready="/not-there", env={"VERSION": "today's"})})
        later.engine.start(release, "r1")
        assert wait_until(lambda: later.healthy(old), timeout=20)
        assert [state.service for state in later.engine.health(old)] == ["web", "worker"]
        assert here.get().json()["version"] == "today's"  # values are today's, they may be secrets
        assert [(used.cpu_limit, used.memory_limit) for used in later.engine.resources(old)] == [
            (0.5, 64 * 2**20),
            (None, None),
        ]
        for name, service in later.engine._services("r1").items():
            assert service.model_copy(update={"env": described[name].env}) == described[name]


def test_no_secret_is_written_down_with_an_instance() -> None:
    says = web(command=["echo", "hunter2-hunter2"], env={"PASSWORD": "${PASSWORD}"})
    with folder() as root:
        engine = ProcessEngine(read(table(services={"web": says}), root, PASSWORD="hunter2-hunter2"))
        engine.start(Site(engine._environment).release("1.0.0"), "r1")
        place = engine._environment.state_folder / "rel" / "r1"
        assert "hunter2" not in (place / "instance.json").read_text()
        assert engine._services("r1") == engine._environment.services  # what is left out comes from today's file
        assert Process(place, "web").wait(10)


def test_an_instance_that_wrote_down_names_alone_is_judged_by_todays_file(here: Site) -> None:
    instance = here.start(here.release("1.0.0"), "r1")
    file = here.environment.state_folder / "rel" / "r1" / "instance.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "services": ["web", "gone"]}))
    assert here.engine._services("r1")["web"] == here.environment.services["web"]
    assert [(state.service, state.healthy) for state in here.engine.health(instance)] == [
        ("web", True),
        ("gone", False),
    ]
