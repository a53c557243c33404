"""The gate drives a team's own commands: the outcome, what was undone, and what a killed gate leaves."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from gate import engines
from gate.environments import load
from gate.machine.shell import wait_until
from gate.releases import source
from tests.team.conftest import CHECK, TOKEN, Team
from tests.team.users import shopping


def edit(team: Team, *pairs: tuple[str, str]) -> None:
    file = team.root / "environments" / "local.toml"
    text = file.read_text()
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text)


def test_what_was_deployed_by_hand_is_taken_over_and_replaced(in_place: Team) -> None:
    status = in_place.gate("status")
    assert status.code == 0, f"{status.document}\n{status.told}"
    assert status.document["stable"]["version"] == "0.9.0", f"{status.document}\n{status.told}"
    in_place.release("1.0.0")
    ran = in_place.deploy("1.0.0")
    assert (ran.code, in_place.serving()) == (0, "1.0.0"), f"{ran.reasons}\n{ran.told}"
    in_place.release("1.1.0")
    assert in_place.deploy("1.1.0").code == 0
    back = in_place.gate("rollback")
    assert (back.code, in_place.serving()) == (1, "1.0.0"), f"{back.reasons}\n{back.told}"


@pytest.mark.parametrize("fault", ["lies", "crash"])
def test_a_bad_release_is_taken_back_and_the_earlier_one_proven(in_place: Team, fault: str) -> None:
    if fault == "lies":  # by a command of its own
        edit(in_place, ("serves = [", 'rollback = ["sh", "undo.sh", "{version}"]\nserves = ['))
        (in_place.root / "undo.sh").write_text('sh deploy.sh "$1" && echo "$1" >run/undone\n')
    in_place.release("1.0.0", fault)
    ran = in_place.deploy("1.0.0")
    assert (ran.code, in_place.serving()) == (1, "0.9.0"), f"{ran.reasons}\n{ran.told}"
    assert in_place.wanted() == "0.9.0"
    assert (in_place.root / "run" / "undone").exists() == (fault == "lies")


def test_a_command_that_fails_says_so_and_shows_no_secret(in_place: Team) -> None:
    edit(in_place, ('"deploy.sh", "{version}"', '"deploy.sh", "{version}x"'))
    in_place.release("1.0.0")
    ran = in_place.deploy("1.0.0")
    # The same command cannot bring the earlier release back either, and that is said.
    assert ran.code == 4
    assert "[engine] deploy: exit code 7" in ran.reasons
    assert "the token is [redacted]" in ran.reasons
    assert TOKEN not in ran.told + ran.reasons
    assert in_place.serving() == "0.9.0"


def test_a_command_that_hangs_is_ended(in_place: Team) -> None:
    edit(in_place, ('timeout = "20s"', 'timeout = "1s"'))
    in_place.release("1.0.0")
    (in_place.root / "run" / "slow").touch()
    ran = in_place.deploy("1.0.0")
    assert ran.code == 4
    assert "deploy: did not end within 1 s" in ran.reasons
    (in_place.root / "run" / "slow").unlink()
    assert in_place.gate("recover").code == 1
    assert in_place.serving() == "0.9.0"


def test_a_killed_gate_leaves_a_command_that_recover_ends_first(in_place: Team) -> None:
    in_place.release("1.0.0")
    slow = in_place.root / "run" / "slow"
    slow.touch()
    gate = in_place.start("--version", "1.0.0")
    history = in_place.root / "run" / "history"
    assert wait_until(lambda: history.read_text().endswith("deploying 1.0.0\n"), timeout=60)
    os.kill(gate.pid, signal.SIGKILL)
    gate.communicate()
    slow.unlink()
    refused = in_place.deploy("1.0.0")
    assert refused.code == 5
    recovered = in_place.gate("recover")
    assert (recovered.code, in_place.serving()) == (1, "0.9.0"), f"{recovered.reasons}\n{recovered.told}"
    assert not running(in_place, "deploy.sh"), "the left command would deploy on its own, later"


def running(team: Team, name: str) -> list[int]:
    """Processes of the team's that run a script."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if name.encode() in words and (entry / "cwd").readlink() == team.root:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("said", ["", "1.0.0; rm -rf /"])
def test_what_serves_must_be_told_in_words_that_mean_something(in_place: Team, said: str) -> None:
    edit(in_place, ('["sh", "-c", "[ ! -e run/wanted ] || cat run/wanted"]', f'["printf", "%s", "{said}"]'))
    in_place.release("1.0.0")
    ran = in_place.deploy("1.0.0")
    if said:
        assert ran.code in {2, 3}, ran.told
        assert in_place.serving() == "0.9.0"
    else:  # nothing serves, as far as the command tells: a first deployment that never had the traffic
        assert ran.code == 1, ran.told
        assert "does not serve" in ran.reasons


@pytest.mark.parametrize(("fault", "code"), [("", 0), ("fails", 1)])
def test_one_that_replaces_the_other_is_watched_by_the_log_too(in_place: Team, fault: str, code: int) -> None:
    edit(
        in_place,
        ('timeout = "20s"', 'timeout = "20s"\nrequests = "run/requests.log"'),
        ("[engine]", '[traffic]\nsteps = ["100% 4s"]\n\n[engine]'),
    )
    in_place.release("1.0.0", fault)
    with shopping(in_place):
        ran = in_place.deploy("1.0.0")
    assert ran.code == code, f"{ran.reasons}\n{ran.told}"
    assert in_place.serving() == ("0.9.0" if code else "1.0.0")


def test_a_command_that_ends_too_early_has_released_nothing(in_place: Team) -> None:
    (in_place.root / "deploy.sh").write_text('echo "$1" >run/wanted\n')
    (in_place.root / "smoke" / "test_made_up.py").write_text(CHECK)  # looks at nothing
    in_place.release("1.0.0")
    ran = in_place.deploy("1.0.0")
    assert ran.code == 1, f"{ran.reasons}\n{ran.told}"
    assert "0.9.0 answers, not 1.0.0" in ran.reasons


def test_a_first_deployment_that_cannot_even_begin_locks_nobody_out(in_place: Team) -> None:
    in_place.end()
    shutil.rmtree(in_place.root / "run")
    edit(in_place, ('"deploy.sh"', '"delpoy.sh"'))
    in_place.release("1.0.0")
    assert in_place.deploy("1.0.0").code == 1
    edit(in_place, ('"delpoy.sh"', '"deploy.sh"'))
    ran = in_place.deploy("1.0.0")
    assert (ran.code, in_place.serving()) == (0, "1.0.0"), f"{ran.reasons}\n{ran.told}"
    in_place.end()
    assert in_place.gate("up").code == 0
    assert in_place.serving() == "1.0.0", "up deploys again what has ended"
    down = in_place.gate("down")
    assert (down.code, in_place.serving()) == (0, "1.0.0")
    assert "it is left as it is" in down.told


def test_all_or_nothing_gives_a_release_nothing_that_is_taken_back(beside: Team) -> None:
    edit(beside, ('"promote", "{instance}", "{percent}"', '"promote", "{instance}"'), ('50% 20s", "', ""))
    beside.release("1.0.0")
    environment = load("local", beside.root)
    engine = engines.create(environment)
    instance = engine.start(source(environment).get("1.0.0"), "r1")
    engine.promote(instance, 0.0)
    assert engine.stable() is None
    engine.stop(instance)
    assert engine.instances() == []


def test_one_that_has_ended_by_itself_is_cleared_away_too(beside: Team) -> None:
    beside.release("1.0.0", "crash")
    environment = load("local", beside.root)
    engine = engines.create(environment)
    instance = engine.start(source(environment).get("1.0.0"), "r1")
    state = beside.root / "run" / "state.json"
    assert wait_until(lambda: not any(one.alive for one in engine.health(instance)), timeout=20)
    assert '"r1"' in state.read_text()
    assert engine.stop(instance) == [], "nothing ran that was stopped"
    assert '"r1"' not in state.read_text()
    engine.stop(instance)


def test_a_canary_by_the_teams_load_balancer_is_judged_by_its_log(beside: Team) -> None:
    beside.release("1.0.0")
    edit(beside, ('steps = ["50% 20s", "100% 3s"]', "steps = []"))
    first = beside.deploy("1.0.0")
    assert first.code == 0, f"{first.reasons}\n{first.told}"
    edit(beside, ("steps = []", 'steps = ["50% 20s", "100% 5s"]'))
    beside.release("1.1.0")
    with shopping(beside) as answers:
        good = beside.deploy("1.1.0")
    assert (good.code, beside.serving()) == (0, "1.1.0"), f"{good.reasons}\n{good.told}"
    assert set(answers) == {200}
    assert len(answers) > 100
    beside.release("1.2.0", "fails")
    with shopping(beside) as answers:
        bad = beside.deploy("1.2.0")
    assert (bad.code, beside.serving()) == (1, "1.1.0"), f"{bad.reasons}\n{bad.told}"
    assert 0 < answers.count(500) < len(answers) / 2
    instances = [item["id"] for item in beside.gate("status").document["instances"]]
    assert instances == ["r2"], "what was tried is stopped, what was replaced too"
