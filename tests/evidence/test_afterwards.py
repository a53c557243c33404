"""What is told of a run afterwards: each part as far as it works, and nothing of records that do not last."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from gate import verify
from gate.deployment.run import Run
from gate.engines.base import Instance
from gate.evidence import afterwards
from gate.results import Outcome
from gate.rollback import unrecorded
from gate.terminal import answers
from gate.terminal.terminal import Terminal
from gate.watching import serving
from gate.watching.serving import Serving
from tests.evidence.runs import made_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made_run(tmp_path)


def tell(run: Run) -> tuple[afterwards.Told, list[str]]:
    notes: list[str] = []
    return afterwards.tell(run, Outcome.REFUSED, "", "reports/here/1/report.html", notes.append), notes


def test_the_report_the_seal_and_the_page_of_all(run: Run) -> None:
    told, notes = tell(run)
    assert notes == []
    assert verify.prove(run.reports, expected=told.manifest).anchor
    assert (run.reports.parent / "index.html").is_file()


def test_a_page_that_cannot_be_written_is_told_and_no_half_of_it_is_left(run: Run) -> None:
    (run.reports.parent / "index.html").mkdir(parents=True)
    told, notes = tell(run)
    assert told.manifest
    assert [note.partition(":")[0] for note in notes] == ["the page of all deployments is not fresh"]
    assert sorted(file.name for file in run.reports.parent.iterdir()) == ["1", "index.html"]


def test_a_report_that_cannot_be_written_has_no_seal(run: Run) -> None:
    run.reports.parent.mkdir(parents=True)
    run.reports.touch()  # a file where the folder belongs
    told, notes = tell(run)
    assert (told.report, told.manifest) == (None, "")
    assert notes[0].startswith("the report could not be written")


def test_there_is_a_report_though_nobody_can_tell_what_serves(run: Run) -> None:
    """As when the server was lost: of such a run above all there must be one, and it claims nothing."""
    traffic = run.environment.state_folder / "traffic"
    traffic.mkdir(parents=True)
    (traffic / "stable").symlink_to("../rel/r9")
    run.stable = Instance("r9", "1.0.0", "sha256:1", None, "f", run.started_at)
    told, _ = tell(run)
    assert told.report
    assert "what serves is not known" in (run.reports / "report.html").read_text(encoding="utf-8")
    lines: list[str] = []
    serves = serving.look(run.engine)
    answers.tell(lambda line, *_: lines.append(line), run, Outcome.ROLLBACK_FAILED, serves, report=None, next_step="")
    assert "what serves cannot be told, not proven" in lines[1]


def test_of_records_that_do_not_last_no_page_is_made_and_the_hash_is_told(run: Run) -> None:
    page = run.reports.parent / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("all that was before", encoding="utf-8")
    run.store = unrecorded.store()
    named: dict[str, Any] = dict.fromkeys(("version", "digest", "folder", "by", "action"), "x")
    assert run.store.begin(commit=None, stable_version=None, stable_instance=None, **named) == run.deployment
    run.action = "rollback"
    told, notes = tell(run)
    assert page.read_text(encoding="utf-8") == "all that was before"
    assert notes == [f"nothing is recorded, so keep the SHA-256 of its manifest: {told.manifest}"]
    assert verify.prove(run.reports, expected=told.manifest, seals=[], copy=False).anchor


def test_a_summary_that_cannot_be_written_is_a_note(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))  # a folder
    terminal = Terminal(io.StringIO(), run.environment.redactor)
    afterwards.show_job(run, Outcome.REFUSED, Serving(None), afterwards.Told(), terminal)
    assert run.evidence.notes[-1].startswith("the job shows only a part of it: IsADirectoryError")
