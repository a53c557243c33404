"""What GitHub Actions shows of a run: annotations beside the log, and the summary of the job.

Whatever a case, a log line or a version says must stay text there: the runner obeys lines that look like its commands,
and the summary is Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gate.deployment.run import Run
from gate.results import Outcome, Reason, Severity
from gate.terminal.runner import Annotation

SHOWN = 10
"""Annotations of a kind: GitHub shows no more of one step."""
_GOOD = (Outcome.RELEASED, Outcome.RESTORED, Outcome.PLANNED)
_MARKS = {Outcome.HELD: "🟠", Outcome.INTERRUPTED: "⚪"}


def annotate(run: Run, outcome: Outcome) -> list[Annotation]:
    """Why it ended as it did; and of one that ended well, what was let through."""
    name, redact = f"{run.environment.name} {outcome}", run.environment.redactor
    level = "warning" if outcome is Outcome.HELD else "error"
    bad = (
        []
        if outcome in _GOOD
        else [Annotation(level, name, redact(item.text), _file(item.case)) for item in _reasons(run)]
    )
    told = {item.case for item in run.evidence.reasons}
    gaps = run.evidence.readiness.gaps if run.evidence.readiness else ()
    open_gaps = [
        Annotation("warning", redact(f"{gap.severity} gap: {gap.category}"), redact(gap.message), _file(gap.case))
        for gap in gaps
        if gap.case not in told
    ]
    debts = [Annotation("warning", "an emergency is to be signed for", redact(text)) for text in run.evidence.owed]
    return bad[:SHOWN] + (debts + open_gaps)[:SHOWN]


def summary(run: Run, outcome: Outcome, serves: str, *, report: str | None, manifest: str) -> str:
    """The summary of the job: how it ended, why, what serves, how ready it was, and what proves the evidence."""
    return "\n".join(_lines(run, outcome, serves, report, manifest)) + "\n\n"


def write(environ: Mapping[str, str], text: str) -> None:
    """Appends to the job's summary, where there is one. Raises OSError."""
    place = environ.get("GITHUB_STEP_SUMMARY")
    if place:
        with Path(place).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _lines(run: Run, outcome: Outcome, serves: str, report: str | None, manifest: str) -> Iterator[str]:
    def text(value: str) -> str:
        return _text(run.environment.redactor(value))  # before it is escaped: afterwards no secret would be known

    mark = _MARKS.get(outcome, "🟢" if outcome in _GOOD else "🔴")
    yield f"## {mark} {_spoken(outcome)}: {text(run.release.version)} on {text(run.environment.name)}"
    yield ""
    yield f"{text(serves)}. Deployment {run.deployment}, {run.elapsed():.0f} s, by {text(run.by)}."
    waited = run.evidence.permission
    if waited is not None and waited.skipped:
        yield ""
        yield f"**EMERGENCY**: {text(waited.emergency)}. Not waited for:"
        yield from (f"- {text(item)}" for item in waited.skipped)
    if run.evidence.owed:
        yield ""
        yield from (f"- **To be signed**: {text(item)}" for item in run.evidence.owed)
    reasons = _reasons(run)
    if reasons:
        yield ""
        yield from (f"- {text(item.text)}" for item in reasons[:SHOWN])
        if len(reasons) > SHOWN:
            yield f"- and {len(reasons) - SHOWN} more, in the report"
    scored = run.evidence.readiness
    if scored is not None:
        yield ""
        yield "| category | score | cases |"
        yield "|---|---:|---:|"
        for item in scored.categories:
            if item.score is not None:
                yield f"| {text(item.name)} | {item.score:.0f} | {item.cases} |"
        yield f"| **total** | **{scored.total:.0f}** of 100 | risk {scored.risk}, confidence {scored.confidence:.2f} |"
        yield ""
        many = {severity: len([gap for gap in scored.gaps if gap.severity is severity]) for severity in Severity}
        yield f"Gaps: {', '.join(f'{number} {severity}' for severity, number in many.items())}."
    if report is not None:
        yield ""
        yield f"Report: <code>{text(report)}</code>" + (
            f", its manifest has the SHA-256 <code>{manifest}</code>" if manifest else ""
        )


def _reasons(run: Run) -> Sequence[Reason]:
    return list({item.text: item for item in run.evidence.reasons}.values())


def _spoken(outcome: Outcome) -> str:
    return str(outcome).replace("_", " ").capitalize()


def _file(case: str) -> str:
    """The file that a case stands in."""
    return case.partition("::")[0] if "::" in case else ""


_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~<>&@:.-])")


def _text(text: str) -> str:
    """Any text as Markdown that shows just that: on one line, with nothing in it that means anything."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[1])};", " ".join(text.split()))
