"""Services that listen on a port instead of a unix socket: the same promises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gate.engines import probing
from gate.errors import EngineError
from gate.machine.shell import wait_until
from gate.routing import dial
from gate.routing.dial import Address
from tests.engine.site import Site, kill, site, web

ON_A_PORT = ["{python}", "-m", "uvicorn", "app:app", "--host", "{host}", "--port", "{port}", "--log-level", "warning"]


def on_a_port(**changes: Any) -> dict[str, Any]:
    return web(command=ON_A_PORT, **changes)


@pytest.fixture(scope="module")
def here() -> Iterator[Site]:
    with site(services={"web": on_a_port()}) as made:
        made.serve("1.0.0", "r1")
        yield made


def test_a_switch_reaches_the_new_port_and_the_log_names_who_answered(here: Site) -> None:
    candidate = here.start(here.release("1.1.0"), "r2")
    assert here.get().json()["version"] == "1.0.0"
    assert here.probe(candidate).json()["version"] == "1.1.0"
    here.engine.promote(candidate, 0.5)
    assert {here.get().json()["version"] for _ in range(40)} == {"1.0.0", "1.1.0"}
    here.engine.promote(candidate)
    assert {here.get().json()["version"] for _ in range(10)} == {"1.1.0"}
    named = [dial.instance_of(line["upstream"]) for line in here.log()]
    assert named[0] == "r1"
    assert named[1] == named[-1] == "r2"
    assert "r1" in named[2:-10]
    [stable] = [one for one in here.engine.instances() if one.id == "r1"]
    here.engine.promote(stable)
    here.engine.stop(candidate)
    assert here.get().json()["version"] == "1.0.0"


def test_a_drain_waits_for_what_the_connections_of_a_port_show() -> None:
    with site(services={"web": on_a_port(in_flight=None)}) as here:
        instance = here.serve("1.0.0", "r1")
        answers: list[int] = []
        slow = threading.Thread(target=lambda: answers.append(here.get("/slow/1").status_code))
        slow.start()
        address = here.traffic.address("r1", "web")
        assert wait_until(lambda: probing.connections(address) == 1, timeout=5)
        here.engine.withdraw()
        drained = here.engine.drain(instance, 10)
        slow.join()
        assert (drained.complete, answers) == (True, [200])
        assert drained.seconds > 0.3


def test_one_that_was_killed_comes_back_on_another_port_and_held_requests_reach_it(here: Site) -> None:
    stable = here.engine.instances()[0]
    before = here.traffic.address("r1", "web")
    kill(here, "r1")
    answers: list[str] = []
    held = threading.Thread(target=lambda: answers.append(here.get().json()["version"]))
    held.start()
    here.engine.start(here_release(stable.folder), "r1")
    held.join()
    assert answers == ["1.0.0"]
    assert here.traffic.address("r1", "web") != before


def here_release(folder: str) -> Any:
    from gate import releases

    return releases.read(Path(folder))


@pytest.mark.parametrize("name", ["r0", "r7", "r7x", "r4194303", "r4194303x"])
def test_an_address_tells_whose_it_is(name: str) -> None:
    address = Address(host=dial.host_of(name), port=8000)
    assert dial.instance_of(str(address)) == name
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("name", ["r4194304", "web", ""])
def test_a_name_beyond_all_addresses_is_refused(name: str) -> None:
    with pytest.raises(EngineError, match="no address is left"):
        dial.host_of(name)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:80", "127.192.0.0:80", "127.64.0.999:80", "unix//srv/rel/nobody/x.sock", "10.0.0.1:1"]
)
def test_what_is_no_instances_address_names_nobody(text: str) -> None:
    assert dial.instance_of(text) is None


def test_state_of_an_earlier_gate_is_taken_over(here: Site) -> None:
    here.engine.start(here_release(here.engine.instances()[0].folder), "r1")
    for name in ("stable", "canary"):
        file = Path(here.traffic.folder) / name
        named = file.readlink().name
        file.unlink()
        file.write_text(named)
    assert here.traffic.stable() == "r1"
    here.traffic.prepare()
    assert (Path(here.traffic.folder) / "stable").is_symlink()
    assert here.get().json()["version"] == "1.0.0"
