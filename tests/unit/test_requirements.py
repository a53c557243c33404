"""What a case may require of an environment beyond its tables: an option of the team's, a private copy within reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gate.config import Environment
from gate.config.parsing import parse
from gate.pytest_plugin.requirements import lacking
from gate.suites.context import CHECKS, Context
from tests.unit.test_config import ROOT, VARIABLES, table

CONTAINERS: dict[str, Any] = {
    "releases__image": "shop/store",
    "services__web__port": 8000,
    "engine__network": "bridge",
}


def made(**changes: Any) -> Environment:
    return parse(table(**changes), VARIABLES, name="staging", file=Path("/project/environments/x.toml"), root=ROOT)


def lacks(name: str, environment: Environment) -> str | None:
    return lacking([name], environment, Context("staging", CHECKS))


@pytest.mark.parametrize(
    ("engine", "reached"),
    [
        ({}, True),
        ({**CONTAINERS, "engine__kind": "docker"}, True),
        ({**CONTAINERS, "engine__kind": "docker", "engine__host": "ssh://deploy@shop-1"}, False),
    ],
    ids=["processes", "containers here", "containers on a server"],
)
def test_a_private_copy_is_where_the_migrations_run_or_no_case_wants_one(engine: dict[str, Any], reached: bool) -> None:
    assert (lacks("copy", made(**engine)) is None) is reached


def test_an_option_that_an_environment_has_or_not() -> None:
    assert lacks("option:shows_backups", made(options__shows_backups="yes")) is None
    assert lacks("option:shows_backups", made()) == "no [options] shows_backups"
