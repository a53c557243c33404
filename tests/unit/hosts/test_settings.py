"""What several servers may be asked for in the environment file, and what is refused there."""

from __future__ import annotations

from typing import Any

import pytest

from gate.config import DockerSettings
from gate.engines import create
from gate.engines.hosts import HostsEngine
from tests.unit.hosts.servers import SEVERAL
from tests.unit.test_config import faults, read, table


def several(**changes: Any) -> dict[str, Any]:
    return table(**(SEVERAL | changes))


def test_each_server_has_the_settings_and_the_first_does_what_is_done_once() -> None:
    environment = read(several(engine__identity="key", engine__hosts=["ssh://a", "ssh://me@b:2222/run/docker.sock"]))
    docker = environment.engine
    assert isinstance(docker, DockerSettings)
    assert environment.places == ("a", "b:2222")
    assert (docker.host, docker.remote) == ("ssh://a", True)
    assert [(one.host, one.identity, one.door) for one in docker.each] == [
        ("ssh://a", "key", docker.door),
        ("ssh://me@b:2222/run/docker.sock", "key", docker.door),
    ]
    assert isinstance(create(environment), HostsEngine)


def test_one_server_is_as_it_was() -> None:
    environment = read(several(engine__hosts=None, engine__host="ssh://a"))
    assert isinstance(environment.engine, DockerSettings)
    assert environment.places == ()
    assert [one.host for one in environment.engine.each] == ["ssh://a"]
    assert not isinstance(create(environment), HostsEngine)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"engine__hosts": ["ssh://a"]}, "hosts: one server is `host`"),
        ({"engine__hosts": ["ssh://a", "ssh://me@a:22"]}, "hosts: a is named twice"),
        ({"engine__host": "ssh://c"}, "host and hosts: name the servers in one of them"),
        ({"engine__hosts": ["ssh://a", "unix:///run/docker.sock"]}, "should match pattern"),
        (
            {"services__worker": {"command": ["work"], "exclusive": True}},
            "services.worker.exclusive: with [engine] hosts",
        ),
        ({"database__pause": "5s"}, "database.pause: with [engine] hosts"),
        (
            {
                "app__url": "https://shop.example",
                "traffic__tls": {"issuer": "acme"},
            },
            "traffic.tls.issuer: with [engine] hosts",
        ),
        (
            {
                "app__url": "https://shop.example",
                "traffic__tls": {"certificate": "c.pem", "key": "k.pem", "probes": "127.0.0.1:9000"},
            },
            "traffic.tls.probes: on a server they are [engine] probes",
        ),
        ({"stack": {"postgres": {"port": 5433}}}, "stack: a server's containers do not reach"),
    ],
)
def test_what_several_servers_cannot_be_asked_for_is_refused(changes: dict[str, Any], told: str) -> None:
    assert told in "\n".join(faults(several(**changes)))


def test_certificate_files_are_the_same_for_all() -> None:
    files = {"certificate": "c.pem", "key": "k.pem"}
    assert read(several(app__url="https://shop.example", traffic__tls=files)).places == ("a", "b")
