"""A suite that a person or a CI runs without the gate: its context is found out, its verdict printed at the end."""

from __future__ import annotations

import math
from pathlib import Path

from gate import environments, readiness, verdict
from gate.config import Environment
from gate.context import CHECKS, FRONT, Context
from gate.engines.base import Instance
from gate.errors import UsageError
from gate.releases import Release, Source
from gate.results import Decision, SuiteResult, Verdict


def environment_name(root: Path, wanted: str | None) -> str:
    """The environment a person means: the one named, the only one, or ``local``. Raises UsageError."""
    names = environments.available(root)
    if wanted is not None or not names:
        return wanted or "local"
    if len(names) == 1:
        return names[0]
    if "local" in names:
        return "local"
    raise UsageError(f"which environment? There are {', '.join(names)}", next_step=f"add --environment {names[0]}")


def context(environment: Environment, *, smoke: bool, version: str | None) -> Context:
    """What a gate would tell: for checks the release named or the newest, for smoke tests the one that serves."""
    from gate import engines

    serving = engines.create(environment).stable()
    stable = _release(serving) if serving else None
    instance = serving.id if serving else None
    if smoke:
        return Context(environment.name, FRONT, None, stable, stable, instance, instance)
    return Context(
        environment.name,
        CHECKS,
        release=_wanted(environment, version),
        stable=stable,
        stable_instance=instance,
        known_digests=_known_digests(environment),
    )


def _release(instance: Instance) -> Release:
    """A release by what the engine knows of it, and its API where its folder still tells."""
    from gate import releases
    from gate.errors import OperationFailed

    folder = Path(instance.folder)
    try:
        openapi = releases.read(folder).openapi
    except OperationFailed:
        openapi = None
    return Release(instance.version, instance.digest, instance.commit, folder, openapi)


def _wanted(environment: Environment, version: str | None) -> Release | None:
    source = Source(environment)
    wanted = version or next(reversed(source.versions()), None)
    return source.get(wanted) if wanted else None


def _known_digests(environment: Environment) -> dict[str, str]:
    file = environment.state_folder / "gate.db"
    if not file.is_file():
        return {}
    from gate.store import Store

    return Store(file).known_digests()


def judged(result: SuiteResult, environment: Environment, *, smoke: bool) -> tuple[Verdict, readiness.Readiness]:
    """The verdict on a run, by the rules the gate itself would use, and its readiness."""
    scored = readiness.assess(result, environment.readiness.weights)
    if smoke:
        return verdict.after(result, environment.all_rules), scored
    return verdict.before(result, scored, environment.readiness.minimum), scored


def summary(verdict_: Verdict, scored: readiness.Readiness, *, whole: bool) -> list[str]:
    """Readiness by category, the gaps, and the verdict with its reasons; a part of a suite is never GO."""
    width = max((len(item.name) for item in scored.categories), default=0)
    lines = ["readiness"]
    for item in scored.categories:
        score = "nothing applies here" if item.score is None else f"{floored(item.score):>5}"
        cases = "" if item.score is None else f"   {item.cases} case{'' if item.cases == 1 else 's'}"
        lines.append(f"  {item.name:<{width}}  {score}{cases}")
    lines.append(f"  {'total':<{width}}  {floored(scored.total):>5}   confidence {scored.confidence:.2f}")
    if scored.gaps:
        lines.append("gaps")
        lines += [f"  {gap.severity:<8}  {gap.category}  {gap.case}: {gap.message}" for gap in scored.gaps]
    good = verdict_.decision is Decision.GO
    if good and not whole:
        return [*lines, "NO VERDICT  every selected case is good, but this is a part of the suite"]
    lines.append(title(verdict_.decision))
    return lines + [f"  {reason.text}" for reason in verdict_.reasons]


def title(decision: Decision) -> str:
    """GO or NO-GO: a run by hand rolls nothing back, it only says what a deployment would do."""
    if decision in (Decision.GO, Decision.NO_GO):
        return str(decision)
    return f"{Decision.NO_GO}  (in a deployment: {decision})"


def floored(score: float) -> str:
    """A score with one decimal, never rounded up to a limit it does not reach."""
    return f"{math.floor(score * 10) / 10:.1f}"
