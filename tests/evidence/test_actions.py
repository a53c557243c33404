"""What GitHub Actions shows: annotations and a summary that hostile text neither breaks nor takes over."""

from __future__ import annotations

import io
import re
from html import unescape
from pathlib import Path

import pytest

from gate import cli
from gate.config import Environment
from gate.deployment.run import Run
from gate.judging import readiness
from gate.redact import Redactor
from gate.results import CaseOutcome, Decision, Outcome, Reason, Severity
from gate.terminal import actions
from gate.terminal.runner import Annotation, plain, runs_here
from gate.terminal.terminal import Terminal
from tests.evidence.runs import made_run
from tests.unit.suites import made_case, made_suite

NASTY = "100% of <img src=x onerror=alert(1)>\n::error::taken | over\r\n##[add-mask]x `a` [b](http://c) @acme **d**"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path)


def fail(run: Run, *texts: str, case: str = "") -> None:
    run.evidence.reasons += [Reason("cases", Decision.ROLLBACK, text, case=case) for text in texts]


def test_an_annotation_is_one_line_and_says_what_it_was_given() -> None:
    line = str(Annotation("error", "a: b, c", NASTY, "checks/test_x.py"))
    assert line.startswith("::error file=checks/test_x.py,title=a%3A b%2C c::100%25 of <img")
    assert "\n" not in line
    assert "\r" not in line


def test_why_it_ended_and_what_was_let_through(run: Run) -> None:
    fail(run, "critical: a sale fails", case="smoke/test_sale.py::test_it")
    gap = made_case("checks/test_docs.py::test_it", CaseOutcome.FAILED, Severity.MINOR, message="no runbook")
    run.evidence.readiness = readiness.assess(made_suite(gap), {})
    bad, warned = actions.annotate(run, Outcome.ROLLED_BACK)
    assert (bad.level, bad.text, bad.file) == ("error", "critical: a sale fails", "smoke/test_sale.py")
    assert (warned.level, warned.title, warned.text) == ("warning", "minor gap: Security", "no runbook")
    assert [item.level for item in actions.annotate(run, Outcome.RELEASED)] == ["warning"]
    assert actions.annotate(run, Outcome.HELD)[0].level == "warning"


def test_no_more_than_are_shown(run: Run) -> None:
    fail(run, *(f"reason {number}" for number in range(30)))
    assert len(actions.annotate(run, Outcome.ROLLED_BACK)) == actions.SHOWN
    assert "and 20 more" in actions.summary(run, Outcome.ROLLED_BACK, "1.0.0 serves", report=None, manifest="")


def test_the_summary_shows_hostile_text_and_nothing_else_of_it(run: Run) -> None:
    fail(run, NASTY)
    text = actions.summary(run, Outcome.ROLLED_BACK, "1.0.0 serves", report="reports/x/7/report.html", manifest="ab12")
    shown = " ".join(NASTY.split())
    (line,) = (line for line in text.splitlines() if "onerror" in line)
    assert re.fullmatch(r"- [\w ;&#/=%]*", line)
    assert unescape(line.removeprefix("- ")) == shown
    assert "Rolled back" in text
    assert "<code>ab12</code>" in text


def test_a_secret_is_scrubbed_before_it_is_escaped(run: Run) -> None:
    secret = "p%ss_w*rd,[7]:x"
    fail(run, f"told {secret} to everybody", case="checks/test_x.py::test_it")
    scrubbed: Environment = run.environment.derived({}, [secret])
    run.environment = scrubbed
    for text in (
        actions.summary(run, Outcome.ROLLED_BACK, "", report=None, manifest=""),
        str(actions.annotate(run, Outcome.ROLLED_BACK)[0]),
    ):
        assert "redacted" in text
        assert "w&#42;rd" not in text
        assert "w*rd" not in text


def test_the_summary_is_appended_where_the_job_says(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n", encoding="utf-8")
    actions.write({"GITHUB_STEP_SUMMARY": str(file)}, "after\n")
    actions.write({}, "nowhere\n")
    assert file.read_text(encoding="utf-8") == "before\nafter\n"
    assert [runs_here(item) for item in ({}, {"GITHUB_ACTIONS": "false"}, {"GITHUB_ACTIONS": "true"})] == [
        False,
        False,
        True,
    ]


def test_nothing_that_a_case_says_is_a_command() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, Redactor())
    terminal.note(NASTY)
    terminal.say("  ::set-output name=x::y")
    terminal.done("step", "::stop-commands::x ##[group]", 1.0)
    for line in stream.getvalue().splitlines():
        assert not line.strip().startswith("::")
        assert "##[" not in line
    assert plain("std::vector, a:b") == "std::vector, a:b"


def test_a_command_that_cannot_begin_is_annotated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert cli.main(["nowhere", "--version", "1", "--json"]) == 2
    told = capsys.readouterr()
    assert "\n::error title=nowhere USAGE::" in told.err
    assert "::" not in told.out.splitlines()[0]
