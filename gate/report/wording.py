"""How the report says things: values with units, times, and the one sentence that tells what is true now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from gate.judging.limits import Unit, show
from gate.report.record import DecisionRecord, RuleRecord
from gate.results import Case, Measurement, Outcome, Reason

TITLES = {
    Outcome.RELEASED: "Released",
    Outcome.ROLLED_BACK: "Rolled back",
    Outcome.RESTORED: "Restored",
    Outcome.USAGE: "Wrong command or configuration",
    Outcome.REFUSED: "Refused",
    Outcome.ROLLBACK_FAILED: "Rollback failed",
    Outcome.LOCKED: "Locked",
    Outcome.HELD: "Held",
    Outcome.INTERRUPTED: "Interrupted",
    Outcome.PLANNED: "Dry run passed",
}

TONES = {
    Outcome.RELEASED: "good",
    Outcome.RESTORED: "good",
    Outcome.ROLLED_BACK: "warn",
    Outcome.REFUSED: "warn",
    Outcome.HELD: "warn",
    Outcome.ROLLBACK_FAILED: "bad",
    Outcome.INTERRUPTED: "calm",
    Outcome.USAGE: "calm",
    Outcome.LOCKED: "calm",
    Outcome.PLANNED: "good",
}

_OWN_UNITS = {str(unit) for unit in Unit}


def statement(record: DecisionRecord) -> str:
    """What is true when the run has ended, for somebody who reads nothing else."""
    nothing = "what serves is not known" if record.stable_before else "nothing serves"
    serves = f"{record.serving.version} serves" if record.serving else nothing
    wanted = record.release.version if record.release else "the release"
    first = ", for the first time" if record.first_deployment else ""
    known = f"{serves}, but" if record.serving else "It is not known what serves:"
    return {
        Outcome.RELEASED: f"{serves} all traffic{first}.",
        Outcome.ROLLED_BACK: _rolled_back(record, wanted),
        Outcome.RESTORED: f"The database is what the backup held; {serves} and was proven on it.",
        Outcome.USAGE: f"Nothing was touched; {serves}.",
        Outcome.REFUSED: f"{_refused(record, wanted)} Nothing was touched; {serves}.",
        Outcome.ROLLBACK_FAILED: f"A person is needed now. {known} the way back could not be finished.",
        Outcome.LOCKED: f"Another run holds the environment, or left it unfinished. Nothing was touched; {serves}.",
        Outcome.HELD: f"Neither good enough nor bad enough: a person decides. Until then {serves}.",
        Outcome.INTERRUPTED: f"The run was stopped and has undone what it did; {serves}.",
        Outcome.PLANNED: f"The checks let {wanted} pass. Nothing was touched; {serves}.",
    }[record.outcome]


def _refused(record: DecisionRecord, wanted: str) -> str:
    return "The backup was not restored." if record.action == "restore" else f"{wanted} may not be deployed."


def _rolled_back(record: DecisionRecord, wanted: str) -> str:
    if not record.serving:
        before = (
            "what serves now is not known"
            if record.stable_before
            else "nothing served before it and nothing serves now"
        )
        return f"{wanted} did not pass and is gone; {before}."
    serves = record.serving.version
    if record.action == "restore":
        return f"The restored data did not pass; the database is the one it was, and {serves} was proven on it again."
    if record.action == "rollback":  # asked for by a person: nothing failed
        return f"{serves} serves again and was proven."
    switches = record.traffic.switches if record.traffic else ()
    if not switches:
        return f"{serves} went on serving and was proven again; no user reached {wanted}."
    back = f"{serves} serves again and was proven again"
    if len(switches) == 1:  # the run that led users there is dead: only the way back was seen
        return f"{back}; {wanted} served users until {clock(switches[0].at)} UTC."
    served = (switches[-1].at - switches[0].at).total_seconds()
    return f"{back}; {wanted} served users for {seconds(served)}."


def seconds(value: float | None) -> str:
    """``4 ms``, ``3.2 s``, ``12 min 4 s``, ``1 h 5 min``; a dash for nothing."""
    if value is None:
        return "–"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 99.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def span(value: float) -> str:
    """A duration of any length, in its largest unit: ``31 s``, ``17.5 min``, ``2 h``, ``3.2 days``."""
    if value < 99.95:
        return seconds(value)
    for name, factor, most in (("min", 60.0, 3600.0), ("h", 3600.0, 172_800.0)):
        if value < most:
            return f"{value / factor:.1f}".removesuffix(".0") + f" {name}"
    return f"{value / 86_400:.1f}".removesuffix(".0") + " days"


def size(value: float | None) -> str:
    """``118.1 MB`` (powers of 1024, as limits are written); a dash for nothing."""
    if value is None:
        return "–"
    for name, factor in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if value >= factor:
            return f"{value / factor:.1f}".removesuffix(".0") + f" {name}"
    return f"{value:.0f} B"


def count(value: float | None) -> str:
    """A number with its thousands apart; a dash for nothing."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def moment(value: datetime | None) -> str:
    """A time in UTC to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if value else "–"


def clock(value: datetime) -> str:
    """The time of day in UTC to the millisecond."""
    return value.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def measured(item: Measurement) -> str:
    """The measured value with its unit; one that is no number says so."""
    if item.value != item.value:
        return "not measured"
    if item.unit in _OWN_UNITS:
        return show(item.value, Unit(item.unit))
    return f"{item.value:g} {item.unit}".rstrip()


def says_more(reason: Reason) -> bool:
    """Whether a reason's figures add to its text; that one case failed, the text says better."""
    return reason.signal not in ("critical_failures", "smoke_failures") or reason.value != 1


def told(case: Case) -> str:
    """A case by its title, and what it had to say."""
    return ": ".join(text for text in (case.title or case.id, case.message) if text)


def reason_value(reason: Reason, rules: Sequence[RuleRecord]) -> str:
    """The value behind a reason, in the unit of its signal's rule."""
    unit = next((rule.unit for rule in rules if rule.signal == reason.signal), None)
    if reason.value is None or unit is None:
        return count(reason.value)
    return show(reason.value, unit)


def change(value: float) -> str:
    """A difference with its sign: ``+1.8``, ``−18.2``."""
    return f"{value:+.1f}".replace("-", "−")


def input_value(value: str | float | bool | None) -> str:
    """An input of a formula, whatever its type."""
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    return value if isinstance(value, str) else count(value)


def duration_tick(value: float) -> str:
    """A decade of a time axis: ``1 ms``, ``100 ms``, ``10 s``."""
    return f"{value * 1000:g} ms" if value < 0.999 else f"{value:g} s"


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def printable(text: str) -> str:
    """Text without terminal colours and control characters."""
    return _CONTROL.sub("", text)
