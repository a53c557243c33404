"""The documents say what is so: generated pages are fresh, links lead somewhere, commands exist."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gate import environments
from gate.commands.arguments import ACTIONS
from gate.config.parsing import parse, variables_of
from gate.judging.readiness import Change, assess
from gate.results import Case, CaseOutcome, Measurement, Outcome, Severity, SuiteResult

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_configuration_page_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    fresh = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference.text()
    assert fresh, "run: python docs/reference.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_names_every_command_and_exit_code() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for action in ACTIONS:
        assert action in text, f"README.md does not name {action}"
    for outcome in Outcome:
        if outcome not in (Outcome.HELD, Outcome.PLANNED):
            assert f"| {outcome.exit_code} | {outcome} |" in text


def test_make_targets_of_the_readme_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for wanted in re.findall(
        r"make ([a-z]+)", (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    ):
        assert wanted in targets, f"make {wanted}"


def test_the_minimal_sample_is_a_whole_environment_and_is_not_offered_as_one() -> None:
    file = ROOT / "environments" / "minimal.toml.sample"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    made_up = {name: f"{name}-of-a-good-length" for name in variables_of(table)}
    environment = parse(table, made_up, name="minimal", file=file, root=ROOT)
    assert (environment.database, environment.cache, environment.stack) == (None, None, None)
    assert environment.scan.secrets
    assert "minimal" not in " ".join(environments.available(ROOT))


@pytest.mark.parametrize(
    ("name", "kind", "remote"),
    [
        ("local.toml", "process", None),
        ("docker.toml", "docker", False),
        ("staging.toml", "docker", True),
        ("production.toml", "swarm", False),
        ("server.toml.sample", "process", None),
    ],
)
def test_every_shipped_environment_is_whole_and_is_what_the_pages_say(
    name: str, kind: str, remote: bool | None
) -> None:
    file = ROOT / "environments" / name
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    while "extends" in table:
        base = tomllib.loads((file.parent / table.pop("extends")).read_text(encoding="utf-8"))
        table = merged(base, table)
    made_up = {
        variable: f"{variable.partition(':')[2] or variable}-of-a-good-length" for variable in variables_of(table)
    }
    urls = {"FRONTEND_URL": "https://shop.example", "DOCKER_SERVER": "shop-1", "REDIS_URL": "redis://:pw@c.example/0"}
    given = {**made_up, **{key: value for key, value in urls.items() if key in made_up}}
    environment = parse(table, given, name=name.partition(".")[0], file=file, root=ROOT)
    assert environment.engine.kind == kind
    assert getattr(environment.engine, "remote", None) is remote
    if name.endswith(".sample"):
        assert name.partition(".")[0] not in environments.available(ROOT)
    else:
        assert (ROOT / "environments" / name).stem in environments.available(ROOT)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables key by key, all else replaced, as ``extends`` does it."""
    same = {
        key: merged(base[key], over[key])
        for key in base
        if isinstance(over.get(key), dict) and isinstance(base[key], dict)
    }
    return base | over | same


def test_adopting_names_every_shipped_file_of_cases() -> None:
    text = (ROOT / "docs" / "adopting.md").read_text(encoding="utf-8")
    before, _, after = text.partition("On the running release (`smoke/`)")
    for folder, part in (("checks", before), ("smoke", after)):
        shipped = {file.name for file in (ROOT / folder).glob("test_*.py")} - {"test_front_door.py"}
        assert shipped <= set(re.findall(r"test_\w+\.py", part)), folder


def test_the_example_of_the_readiness_page_comes_out_as_it_says() -> None:
    text = (ROOT / "docs" / "readiness.md").read_text(encoding="utf-8")
    high, critical = Severity.HIGH, Severity.CRITICAL
    blind = Case("v", "Security", high, CaseOutcome.WARNING, 0.1, measurements=(Measurement("advisories", 0, n=0),))
    security = (
        Case("s", "Security", critical, CaseOutcome.PASSED, 0.1),
        Case("c", "Security", high, CaseOutcome.PASSED, 0.1),
        Case("f", "Security", high, CaseOutcome.PASSED, 0.1),
        blind,
    )
    others = tuple(Case(f"o{n}", f"Other {n % 7}", critical, CaseOutcome.PASSED, 0.1) for n in range(23))
    suite = SuiteResult("checks", tuple(case.id for case in (*security, *others)), (*security, *others), 1.0)
    made = assess(suite, {}, succeeded=1, failed=0, change=Change.EXPAND)
    assert f"= **{made.total:.1f}**" in text
    assert f"= **{made.confidence:.2f}**" in text
    assert f"**{made.risk}**" in text


def test_no_hint_names_the_gate_on_a_package_index() -> None:
    for file in (ROOT / "gate").rglob("*.py"):
        assert "deploy-gate[" not in file.read_text(encoding="utf-8"), f"{file}: say pip install '.[…]'"


def test_the_page_of_the_engines_has_the_table_that_is_tried() -> None:
    from tests.everywhere.defects import table

    fresh = table() in (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    assert fresh, "run: python -m tests.everywhere.defects"
