"""The environment file: every fault is told with its file, its key and what was expected."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from gate.config import Environment
from gate.config.parsing import parse, variables_of
from gate.errors import ConfigError
from gate.redact import REDACTED
from gate.results import Decision, Severity

ROOT = Path("/project")
GOOD: dict[str, Any] = {
    "app": {"name": "store", "url": "http://127.0.0.1:18080"},
    "releases": {"source": "releases"},
    "engine": {"kind": "process"},
    "services": {
        "web": {
            "command": ["serve"],
            "route": "/",
            "health": "/health",
            "identity": "/version#version",
            "env": {"KEY": "${KEY}", "MODE": "fast"},
        }
    },
    "database": {"url": "postgresql://store:${PASSWORD}@db:5432/store"},
    "traffic": {"listen": "127.0.0.1:18080"},
    "checks": {"folders": ["checks"]},
    "smoke": {"folders": ["smoke"]},
}
VARIABLES = {"KEY": "k-93-long-enough", "PASSWORD": "p@ss/word-7"}


def table(**changes: Any) -> dict[str, Any]:
    """The good table with values put at dotted places: ``services__web__route="/x"``; None removes one."""
    made = copy.deepcopy(GOOD)
    for place, value in changes.items():
        *path, key = place.split("__")
        at = made
        for name in path:
            at = at.setdefault(name, {})
        if value is None:
            at.pop(key, None)
        else:
            at[key] = copy.deepcopy(value)
    return made


def read(made: dict[str, Any], variables: dict[str, str] | None = None) -> Environment:
    given = VARIABLES if variables is None else variables
    return parse(made, given, name="here", file=ROOT / "environments" / "here.toml", root=ROOT)


def faults(made: dict[str, Any], variables: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as fault:
        read(made, variables)
    return fault.value.problems


def test_a_good_file() -> None:
    environment = read(table())
    assert (environment.name, environment.app.name) == ("here", "store")
    assert environment.state_folder == ROOT / ".gate" / "here"
    assert environment.services["web"].env["KEY"].reveal() == "k-93-long-enough"
    assert list(environment.routed()) == ["web"]
    assert environment.checks.timeout == 600


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"databse": {}}, "environments/here.toml: databse: unknown key"),
        ({"app__nmae": "x"}, "environments/here.toml: [app] nmae: unknown key"),
        ({"services__web__limits": {"cpus": 1}}, "[services.web.limits] cpus: unknown key"),
        ({"app__name": None}, "environments/here.toml: [app] name: is required"),
        ({"database__migrations": {}}, "environments/here.toml: [database] migrations: tool is required"),
        (
            {"database__migrations": {"tool": "magic"}},
            "[database] migrations: tool: magic is none of 'alembic', 'sql', 'django', 'command'",
        ),
        ({"database__migrations": {"tool": "sql", "config": "x"}}, "[database.migrations] config: unknown key"),
        ({"database__migrations": {"tool": "command"}}, "[database.migrations] current: is required"),
        ({"database__migrations": {"tool": "sql", "table": "a b"}}, "[database.migrations] table: string should"),
        ({"database__lock_retries": -1}, "[database] lock_retries: "),
        ({"app": None}, "environments/here.toml: app: is required"),
        ({"app__name": 7}, "[app] name: input should be a valid string"),
        ({"app__name": "The Store"}, "[app] name: string should match pattern"),
        ({"app__url": "store.example"}, "[app] url: string should match pattern"),
        ({"engine__kind": "magic"}, "engine: kind: magic is none of 'process', 'docker', 'swarm', 'command'"),
        ({"checks__timeout": 600}, "[checks] timeout: write it as text with a unit"),
        ({"checks__timeout": "10 minutes"}, "[checks] timeout: '10 minutes' is not a duration such as 30s"),
        ({"checks__folders": "checks"}, "[checks] folders: input should be a valid list"),
        ({"checks__folders": []}, "[checks] folders: list should have at least 1 item"),
        ({"services": {}}, "services: dictionary should have at least 1 item"),
        ({"services__web__route": "api"}, "[services.web] route: a route is a path prefix that starts with /"),
        ({"services__web__route": "/api"}, 'services: one service needs route = "/"'),
        ({"services__web__health": None}, "[services] web: a service with a route needs health"),
        ({"services__web__identity": None}, "[services] web: a service with a route needs identity"),
        ({"services__web__identity": "/version"}, "[services.web] identity: write PATH#FIELD"),
        ({"services__web__exclusive": True}, "[services] web: a service with a route cannot be exclusive"),
        ({"services__web__log_errors": "("}, "[services] web: log_errors is not a regular expression"),
        ({"services__web__limits": {"cpu": 1.0, "memory": "512MB"}}, "memory: '512MB' is not a size such as 512M"),
        (
            {"services__web__limits": {"cpu": 0.0, "memory": "512M"}},
            "[services.web.limits] cpu: input should be greater",
        ),
        ({"services__Web2": GOOD["services"]["web"]}, "services: two services have the same route"),
        ({"services__A_B": {"command": ["x"]}}, "services.A_B: a service's name is at most 16 letters"),
        ({"traffic__listen": "18080"}, "[traffic] listen: string should match pattern"),
        ({"stack": {"postgres": {"port": 80}}}, "[stack.postgres] port: input should be greater than or equal to 1024"),
        ({"readiness": {"weights": {"Speed": 2.0}}}, "weights: 'Speed' is not a category; the categories are"),
        ({"readiness": {"minimum": 101.0}}, "[readiness] minimum: input should be less than or equal to 100"),
        ({"rules": [{"signal": "disk", "rollback": "> 5"}]}, 'the signal is a share; write "> 5%" or "> 0.05"'),
        ({"rules": [{"signal": "disk", "go": "< 90%", "rollback": "> 80%"}]}, "can both hold; no value may be both"),
        ({"rules": [{"signal": "moon", "go": "< 1"}]}, "[rules.0] signal = 'moon': unknown; known are"),
        ({"rules": [{"signal": "disk", "go": "< 9%", "severity": "grave"}]}, "[rules.0] severity: input should be"),
        ({"rules": [{"signal": "disk", "go": "< 9%", "min_n": 0}]}, "[rules.0] min_n: input should be greater"),
    ],
)
def test_each_fault_is_told(changes: dict[str, Any], problem: str) -> None:
    found = faults(table(**changes))
    assert all(line.startswith("environments/here.toml: ") for line in found)
    assert any(problem in line for line in found), found


DOCKER: dict[str, Any] = {
    "engine__kind": "docker",
    "releases__image": "registry.example:5000/store",
    "services__web__port": 8000,
}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"releases__image": None}, "[releases] image belong together"),
        ({"engine__kind": "process"}, "[releases] image belong together"),
        ({"releases__image": "store:latest"}, "[releases] image: 'store:latest' has a tag"),
        ({"releases__image": "Store"}, "[releases] image: string should match pattern"),
        ({"engine__host": "tcp://10.0.0.1:2375"}, "host: string should match pattern"),
        ({"engine__mounts": ["here"]}, "'here' is not FOLDER:INSIDE"),
        ({"engine__mounts": ["/a:/b:rw"]}, "'/a:/b:rw' is not FOLDER:INSIDE"),
        ({"engine__pids": 2}, "pids: input should be greater"),
        ({"engine__user": "a b"}, "user: string should match pattern"),
        ({"services__web__port": None}, "services.web: needs port, the one it listens on"),
        ({"engine__network": "host"}, 'services.web: with network = "host" it must listen on {host} and {port}'),
        ({"services__web__command": ["serve", "{socket}"]}, "services.web: a container listens on a port"),
        (
            {"database": {"url": "postgresql://a@db/x", "through": "ssh"}},
            "database.through: needs an [engine] with host",
        ),
        (
            {"engine__host": "ssh://a", "database": {"url": "postgresql://a@db1,db2/x", "through": "ssh"}},
            "database.through: needs one host in url",
        ),
        (
            {"engine__host": "ssh://a", "database": {"url": "postgresql:///x?host=/run", "through": "ssh"}},
            "database.through: needs one host in url",
        ),
        (
            {"engine__host": "ssh://a", "cache": {"url": "rediss://cache:6379/0", "through": "ssh"}},
            "cache.through: the connection is SSH's own",
        ),
    ],
)
def test_each_fault_of_containers_is_told(changes: dict[str, Any], problem: str) -> None:
    assert read(table(**DOCKER)).releases.image == "registry.example:5000/store"
    found = faults(table(**(DOCKER | changes)))
    assert any(problem in line for line in found), found


COMMANDS: dict[str, Any] = {
    "engine": {"kind": "command", "deploy": ["d", "{version}"], "serves": ["s"], "logs": ["l"]},
    "services__web": {"route": "/", "health": "/health", "identity": "/version#version"},
    "traffic": {},
}
BESIDE = {"promote": ["p", "{percent}"], "stop": ["x"], "health": ["h"], "candidate": "http://c", "requests": "log"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"engine__deploy": None}, "[engine] deploy: is required"),
        ({"engine__serves": None}, "[engine] serves: is required"),
        ({"engine__logs": None}, "[engine] logs: is required"),
        ({"engine__deploy": ["d", "{vresion}"]}, "{vresion} is unknown; known are {python}, {version}"),
        ({"engine__promote": ["p"]}, "promote, stop, candidate and health belong together"),
        ({"engine__candidate": "ftp://x"}, "candidate: string should match pattern"),
        ({"traffic__listen": "127.0.0.1:80"}, "the front door is the team's: no listen"),
        ({"traffic__sticky": "cookie"}, "the front door is the team's: no listen, tls or sticky"),
        ({"traffic__steps": ["100% 5s"]}, "traffic.steps: need [engine] requests"),
        ({"traffic__steps": ["9% 5s", "100% 5s"], "engine__requests": "x"}, "only one step, of 100%, is possible"),
        ({"services__web__command": ["serve"]}, "services.web.command: what starts it is the team's"),
        ({"services__web__env": {"A": "b"}}, "services.web.env: what starts it is the team's"),
        ({"services__web__exclusive": True}, "a service with a route cannot be exclusive"),
        ({"database__pause": "3s"}, "database.pause: only the gate's own front door"),
    ],
)
def test_each_fault_of_commands_is_told(changes: dict[str, Any], problem: str) -> None:
    assert read(table(**COMMANDS)).engine.kind == "command"
    found = faults(table(**(COMMANDS | changes)))
    assert any(problem in line for line in found), found


def test_steps_of_side_by_side_commands() -> None:
    made = table(**(COMMANDS | {f"engine__{key}": value for key, value in BESIDE.items()}))
    made["traffic"]["steps"] = ["9% 5s", "100% 5s"]
    assert len(read(made).traffic.steps) == 2


@pytest.mark.parametrize("kind", ["process", "docker"])
def test_what_the_gate_starts_needs_a_command_and_a_front_door(kind: str) -> None:
    given = DOCKER | {"engine__kind": kind} if kind == "docker" else {}
    assert any("services.web: needs command" in line for line in faults(table(**given, services__web__command=None)))
    assert any("traffic: needs listen" in line for line in faults(table(**given, traffic=None)))


def test_a_process_has_no_port_of_its_own() -> None:
    (found,) = faults(table(services__web__port=8000))
    assert "services.web.port: only for containers" in found


def test_all_faults_are_told_at_once() -> None:
    found = faults(table(app__name=None, databse={}, checks__timeout="soon"), {"KEY": "k"})
    assert len(found) == 4
    assert "environments/here.toml: [database] url: PASSWORD is not set" in " ".join(found)


def test_a_variable_that_is_not_set_names_the_command_to_type() -> None:
    with pytest.raises(ConfigError) as fault:
        read(table(), {"KEY": "", "PASSWORD": "x"})
    (problem,) = fault.value.problems
    assert problem.startswith("environments/here.toml: [services.web.env] KEY: KEY is not set")
    assert fault.value.next_step == "export KEY=…"


def test_rules_of_the_file_are_in_force() -> None:
    rows = [
        {"signal": "disk", "rollback": "> 95%", "severity": "critical"},
        {"signal": "q", "go": "< 5", "unit": "count"},
    ]
    environment = read(table(rules=rows))
    disk = environment.rule("disk")
    assert disk is not None
    assert (disk.severity, disk.decide(0.94, 1)) == (Severity.CRITICAL, Decision.GO)
    assert environment.rule("q") is not None
    assert environment.rule("smoke_failures") is not None
    assert environment.rule("moon") is None


def test_secrets_do_not_print_and_are_scrubbed() -> None:
    environment = read(table())
    shown = f"{environment!r} {environment.model_dump()} {environment.model_dump_json()}"
    assert "k-93-long-enough" not in shown
    assert "p@ss" not in shown
    text = "k-93-long-enough p@ss/word-7 p%40ss%2Fword-7 fast"
    assert environment.redactor(text) == f"{REDACTED} {REDACTED} {REDACTED} fast"


def test_a_password_written_into_the_file_is_a_secret_too() -> None:
    environment = read(table(database__url="postgresql://store:plain-text-pw@db/store"))
    assert environment.redactor("it is plain-text-pw") == f"it is {REDACTED}"


def test_nothing_changes_after_loading() -> None:
    environment = read(table())
    with pytest.raises(ValueError, match="frozen"):
        setattr(environment.app, "name", "other")  # noqa: B010 - mypy knows that it cannot be


def test_variables_are_found_wherever_they_stand() -> None:
    assert variables_of({"a": ["${ONE}", {"b": "x${TWO}y${generated:three}"}], "c": 4, "d": "$FIVE"}) == {
        "ONE",
        "TWO",
        "generated:three",
    }
