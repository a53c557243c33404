"""Evidence that grows: what was tampered with meanwhile is never sealed in as if it had always been so."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gate import verify
from gate.commands.reporting import Reporting
from gate.deployment.evidence import Evidence
from gate.deployment.run import Run
from gate.deployment.view import Silent
from gate.errors import Refused
from gate.evidence import afterwards, appended, bundle, recording, resealing
from gate.monitoring.phases import Standing
from gate.monitoring.standings import Monitored
from gate.notify import Delivery, Notifier
from gate.notify.message import alert
from gate.records.ledger import Ledger
from gate.results import Outcome
from gate.terminal import answers
from gate.terminal.terminal import Terminal
from gate.watching.serving import Serving
from tests.evidence.runs import made_run


class Said(Silent):
    """A terminal that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def told(run: Run, outcome: Outcome) -> afterwards.Told:
    faults: list[str] = []
    found = afterwards.tell(run, outcome, "", "reports/here/1/report.html", faults.append)
    assert faults == []
    return found


@pytest.fixture
def held(tmp_path: Path) -> Run:
    """A run whose evidence was written and sealed while it is held."""
    run = made_run(tmp_path)
    run.folder.mkdir(parents=True)
    (run.folder / "checks.html").write_text("<h1>5 of 5</h1>", encoding="utf-8")
    told(run, Outcome.HELD)
    return run


def resumed(run: Run) -> Run:
    """The same deployment in another process, as ``keep``, ``recover`` and the end of a hold take it up."""
    later = replace(run, evidence=Evidence(), view=Said())
    later.journal.resume()
    resealing.take_up(later)
    return later


def forge_report(run: Run) -> None:
    (run.reports / "report.html").write_text("<h1>All was well</h1>", encoding="utf-8")


def forge_record(run: Run) -> None:
    file = run.reports / "decision.json"
    made = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(made | {"notes": ["all was well"]}), encoding="utf-8")


def lose_page(run: Run) -> None:
    (run.reports / "checks.html").unlink()


def seal_it_oneself(run: Run) -> None:
    forge_report(run)
    bundle.seal(run.reports, "here", run.deployment, run.clock())


def lose_manifest(run: Run) -> None:
    (run.reports / bundle.MANIFEST).unlink()


def forge_what_will_be_copied(run: Run) -> None:
    (run.folder / "checks.html").write_text("<h1>6 of 6</h1>", encoding="utf-8")


FORGED: list[tuple[Callable[[Run], None], str]] = [
    (forge_report, "report.html: changed (sealed at "),
    (forge_record, "decision.json: changed (sealed at "),
    (lose_page, "checks.html: missing (sealed at "),
    (seal_it_oneself, "manifest.json: is another one than the gate made"),
    (lose_manifest, "holds no manifest.json"),
    (forge_what_will_be_copied, "has another one than was sealed"),
]


@pytest.mark.parametrize(("forge", "why"), FORGED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_was_not_as_it_was_sealed_is_told_wherever_the_new_seal_is(
    held: Run, forge: Callable[[Run], None], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(held)
    later = resumed(held)
    assert isinstance(later.view, Said)
    assert any(why in text for text in later.view.notes), later.view.notes
    manifest = told(later, Outcome.RELEASED).manifest

    answer = answers.of(later, Outcome.RELEASED, Serving(None), report=None, next_step="")
    assert answer.outcome is Outcome.RELEASED, "nobody is held up"
    assert any(why in text for text in answer.document["unproven"])
    record = json.loads((held.reports / "decision.json").read_text(encoding="utf-8"))
    assert record["unproven"] == answer.document["unproven"]
    assert "NOT PROVEN" in (held.reports / "report.html").read_text(encoding="utf-8")

    reporting = Reporting(later.environment, Terminal(io.StringIO(), later.environment.redactor))
    named: dict[str, Any] = {"environment": "here", "deployment": held.deployment, "copy": False}
    proof = verify.prove(held.reports, seals=Ledger(held.store).seals(held.deployment), **named)
    assert proof.anchor, "what was added is sealed"
    with pytest.raises(Refused, match="was not as it had been sealed when it was added to"):
        proof.demand_whole(held.reports)
    with pytest.raises(Refused, match="was not as it had been sealed when it was added to"):
        reporting.verify(str(held.reports), manifest)
    assert verify.main([str(held.reports), manifest]) == 3
    assert "not as it had been sealed" in capsys.readouterr().err


def test_a_finding_outlives_every_later_seal(held: Run) -> None:
    forge_report(held)
    told(resumed(held), Outcome.ROLLBACK_FAILED)
    found = bundle.check(held.reports).manifest.broken
    assert found
    later = resumed(held)
    told(later, Outcome.ROLLED_BACK)
    assert bundle.check(held.reports).manifest.broken == found
    lose_page(held)
    told(resumed(held), Outcome.ROLLED_BACK)
    assert bundle.check(held.reports).manifest.broken[: len(found)] == found
    assert len(bundle.check(held.reports).manifest.broken) == 1 + len(found)


def test_evidence_as_it_was_sealed_grows_without_a_word(held: Run) -> None:
    later = resumed(held)
    (later.folder / "front.html").write_text("<h1>2 of 2</h1>", encoding="utf-8")
    manifest = told(later, Outcome.RELEASED).manifest
    assert isinstance(later.view, Said)
    assert (later.view.notes, later.evidence.unproven) == ([], [])
    assert bundle.check(held.reports).manifest.broken == ()
    assert verify.main([str(held.reports), manifest]) == 0
    assert "NOT PROVEN" not in (held.reports / "report.html").read_text(encoding="utf-8")


def test_what_was_tampered_with_while_messages_were_sent_is_told_too(held: Run) -> None:
    class Slow(Notifier):
        """One whose message takes as long as somebody needs to change a file."""

        def settle(self) -> list[Delivery]:
            lose_page(held)
            message = alert(held.environment, held.clock(), "held", [], deployment=held.deployment, version="1.1.0")
            made = Delivery("team", message, fault="refused with status 400")
            made.ended.set()
            return [made]

    afterwards.settle(held, Slow(held.environment), afterwards.Told("report.html"), lambda _: None)
    record = json.loads((held.reports / "decision.json").read_text(encoding="utf-8"))
    (text,) = record["unproven"]
    assert text.startswith("checks.html: missing")
    assert bundle.check(held.reports).manifest.broken == (text,)


def test_what_a_link_leads_to_is_no_evidence(tmp_path: Path) -> None:
    """The folder of a run is written by suites: what they link to would be published as it is."""
    run = made_run(tmp_path)
    secret = tmp_path / ".env"
    secret.write_text("PASSWORD=x")
    run.folder.mkdir(parents=True)
    (run.folder / "left.txt").write_text("left")
    (run.folder / "leak.txt").symlink_to(secret)
    (run.folder / "folder").mkdir()
    recording.write(run, Outcome.HELD, "")
    assert (run.reports / "left.txt").is_file()
    assert not {"leak.txt", "folder"} & {file.name for file in run.reports.iterdir()}


def test_what_was_never_sealed_is_not_taken_for_proven(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    recording.write(run, Outcome.HELD, "")  # and then it died
    told(resumed(run), Outcome.ROLLED_BACK)
    assert bundle.check(run.reports).manifest.broken == ("it was never sealed: who wrote it died before, or could not",)


def test_records_that_cannot_be_asked_hold_up_nobody(held: Run) -> None:
    held.store.execute(sa.text("DROP TABLE seals"))
    (text,) = resumed(held).evidence.unproven
    assert text.endswith("(whenever it was sealed)")


def test_monitoring_hands_the_finding_on(held: Run) -> None:
    forge_report(held)
    told(resumed(held), Outcome.RELEASED)
    found = bundle.check(held.reports).manifest.broken
    (deployment,) = held.store.deployments()
    watched = Monitored(deployment, held.started_at, Standing(1, (), (), None, None))
    appended.monitoring(held.environment, held.store, watched, held.clock())
    checked = bundle.check(held.reports)
    assert (checked.faults, checked.manifest.broken) == ((), found)
    record = json.loads((held.reports / "decision.json").read_text(encoding="utf-8"))
    assert record["monitoring"] is not None
    assert record["unproven"] == list(found)
