"""No secret leaves a run: not in the record, the events, the pages, the JUnit file, nor on the terminal."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from gate.results import SuiteResult
from tests.suite.project import SECRET, Project, case

LEAKS = """
import base64, json, logging, os, sys, warnings
from urllib.parse import quote

@pytest.fixture
def key(environment): return environment.options["key"].reveal()

def test_assertion(key): assert key == "something else"
def test_assertion_on_a_table(key): assert {"headers": {"X-Key": key}} == {}
def test_message(key): assert False, f"bad key {key}"
def test_exception(key): raise ValueError(f"postgresql://store:{quote(key, safe='')}@db/store")
def test_chained(key):
    try:
        raise ValueError(key)
    except ValueError as fault:
        raise OSError("on top") from fault
def test_printed(key):
    print(key); print(repr(key), file=sys.stderr); print(json.dumps({"key": key}))
    logging.getLogger("x").warning("key is %s", key)
    assert False
def test_printed_and_passed(key): print(key)
def test_encoded(key): assert False, base64.b64encode(key.encode()).decode()
def test_surroundings(): assert dict(os.environ) == {}
def test_skipped(key): pytest.skip(key)
def test_warned(key, warn): warn(key)
def test_cannot_tell(key, inconclusive): inconclusive(key)
def test_measured(key, measure): measure("disk", 0.1, detail=key)
def test_measured_bad(key, measure): measure("disk", 0.99, detail=key)
def test_property(key, record_property): record_property("key", key)
def test_subtest(key, subtests):
    with subtests.test(key, key=key):
        print(key)
        assert False, key
@pytest.fixture
def broken(key):
    yield
    raise OSError(key)
def test_teardown(broken): pass
@pytest.fixture
def unset(key): raise OSError(key)
def test_setup(unset): pass
def test_token():
    assert False, "Authorization: Bearer abc.def-123 and ghp_" + "a" * 36
"""


def forms() -> set[str]:
    return {
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode().rstrip("="),
        json.dumps(SECRET)[1:-1],
        "abc.def-123",
        "ghp_aaaa",
    }


@pytest.fixture(scope="module", params=["", " -n 2"], ids=["serial", "xdist"])
def leaky(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("leaks")).cases(LEAKS)
    ini = project.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("--tb=native", f"--tb=native{request.param}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MADE_UP_KEY", SECRET)
        yield project


@pytest.fixture(scope="module")
def result(leaky: Project) -> SuiteResult:
    return leaky.run()


def test_nothing_in_the_record(result: SuiteResult) -> None:
    assert not result.broken
    assert len(result.cases) == 19
    assert not [form for form in forms() if form in repr(result)]
    assert "[redacted]" in case(result, "test_message").message


def test_nothing_on_disk(leaky: Project, result: SuiteResult) -> None:
    written = sorted(leaky.out.iterdir())
    assert [file.name for file in written] == [
        "checks.context.json",
        "checks.events.jsonl",
        "checks.html",
        "checks.junit.xml",
    ]
    found = [(file.name, form) for file in written for form in forms() if form in file.read_text()]
    assert not found
    assert len(result.cases) == 19


def test_nothing_on_the_terminal_nor_in_pytest_s_own_reports(leaky: Project) -> None:
    ran = leaky.by_hand("checks", "-rA", "--junitxml=own.xml", "--html=own.html", "--self-contained-html")
    shown = ran.out + ran.err + "".join((leaky.root / name).read_text() for name in ("own.xml", "own.html"))
    assert "test_assertion_on_a_table" in shown
    assert not [form for form in forms() if form in shown]


def test_collection_error(project: Project) -> None:
    result = project.cases(f"raise ValueError({SECRET!r})\n").run()
    assert "ValueError: [redacted]" in result.broken
    assert not [file for file in project.out.iterdir() if SECRET in file.read_text()]


def test_an_id_that_holds_a_secret_is_refused(project: Project) -> None:
    """Ids go everywhere, unscrubbed: into file names, into pytest's own progress."""
    result = project.cases(f"@pytest.mark.parametrize('key', [{SECRET!r}])\ndef test_a(key): pass\n").run()
    assert "the id of a parametrized case holds a secret" in result.broken
    assert not result.cases
    assert SECRET not in repr(result)


def test_output_of_a_child_that_dies(project: Project) -> None:
    text = f"import os\nos.write(1, {SECRET.encode()!r})\nos._exit(3)\n"
    ini = project.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("--tb=native", "--tb=native -s"))  # not captured by pytest
    result = project.write("checks/conftest.py", text).cases("def test_a(): pass\n").run()
    assert "exit code 3: [redacted]" in result.broken
    assert SECRET not in repr(result)


def test_a_page_drawn_by_others_is_looked_through(project: Project) -> None:
    text = """
    import pytest
    def pytest_html_results_summary(prefix):
        prefix.append("<p>" + %r + "</p>")
    """
    project.write("checks/conftest.py", text % SECRET).cases("def test_a(): pass\n").run()
    page = Path(project.out / "checks.html").read_text()
    assert SECRET not in page
    assert "[redacted]" in page
