"""Confirmation: a failed case is run once more, and what that run says decides whether the failure stands. Pure.

A failure that passes the second time is flaky: it is kept, told and charged to a budget, and no longer counts. What
sees wrong data is never run again: data that was wrong once stays wrong for somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gate.results import Attempt, Case, CaseOutcome, Decision

CORRUPTION = "not run again: what it sees is wrong data"


def condemned(case: Case) -> bool:
    """Whether a case speaks against the release: it failed, or a figure of it is past its rollback limit."""
    past = any(figure.decision is Decision.ROLLBACK and figure.n > 0 for figure in case.measurements)
    return past or case.outcome is CaseOutcome.FAILED


def suspect(case: Case) -> bool:
    """Whether a case speaks against the release and nobody has said yet whether that stands."""
    return condemned(case) and not case.confirmation


class Budget:
    """How many flaky cases may be forgiven. ``spent`` says what it went for so far, one text each."""

    def __init__(self, limit: int, spent: Sequence[str] = ()) -> None:
        self.limit = limit
        self.spent = list(spent)

    @property
    def left(self) -> int:
        return max(0, self.limit - len(self.spent))

    def __str__(self) -> str:
        if not self.limit:
            return "no flaky case is forgiven here (flake_budget = 0)"
        return f"the flake budget of {self.limit} is spent: {', '.join(self.spent)}"


class Confirmation:
    """What becomes of the failures of one suite.

    Without a ``budget`` every flaky case is forgiven and none charged. ``begins`` is told how many cases are about to
    be run once more, ``forgiven`` each case found flaky; what it raises ends the suite.
    """

    def __init__(
        self, budget: Budget | None, *, begins: Callable[[int], None], forgiven: Callable[[Case], None]
    ) -> None:
        self._budget = budget
        self.begins = begins
        self._forgiven = forgiven

    def first(self, case: Case) -> Case:
        """A case as it ended the first time: what stands without a second run says so."""
        if not condemned(case):
            return case
        if case.corruption:
            return replace(case, confirmation=CORRUPTION)
        if self._budget is not None and not self._budget.left:
            return replace(case, confirmation=f"not run again: {self._budget}")
        return case

    def settled(self, case: Case, again: Case | None, silence: str = "") -> Case:
        """A failed case after its second run; ``again`` is None when that never reported, ``silence`` says why."""
        attempts = tuple(map(_attempt, filter(None, (case, again))))
        if again is None or not _passed(again):
            return replace(case, attempts=attempts, confirmation=_again(case, again, silence))
        if self._budget is not None and not self._budget.left:
            said = f"passed when it was run once more, but {self._budget}"
            return replace(case, attempts=attempts, confirmation=said)
        if self._budget is not None:
            self._budget.spent.append(f"{short(case.id)} now")
        said = f"failed first: {case.message or short(case.id)}; passed when it was run once more"
        forgiven = replace(again, flaky=True, attempts=attempts, confirmation=said)
        self._forgiven(forgiven)
        return forgiven


def short(case_id: str) -> str:
    """The name of a case without its file."""
    return case_id.partition("::")[2] or case_id


def _passed(case: Case) -> bool:
    good = case.outcome in (CaseOutcome.PASSED, CaseOutcome.WARNING)
    return good and not case.inconclusive and not condemned(case)


def _again(case: Case, again: Case | None, silence: str) -> str:
    """Why a failure stands after its second run."""
    if again is None:
        return f"run once more, it never reported{f': {silence}' if silence else ''}"
    if condemned(again):
        return "failed again" + (f": {again.message}" if again.message not in ("", case.message) else "")
    what = "the checker itself broke" if again.outcome is CaseOutcome.ERROR else f"it did not pass ({again.outcome})"
    return f"run once more, {what}{f': {again.message}' if again.message else ''}"


def _attempt(case: Case) -> Attempt:
    return Attempt(case.outcome, case.seconds, case.message, case.details, case.measurements)
