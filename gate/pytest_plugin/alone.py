"""A suite that a person or a CI runs without the gate: its context is found out, its verdict printed at the end."""

from __future__ import annotations

import math
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import semver

from gate import environments, releases
from gate.config import Environment
from gate.engines.base import Endpoint, Instance
from gate.errors import UsageError
from gate.judging import readiness, verdict
from gate.releases import Release, source
from gate.results import Decision, SuiteResult, Verdict
from gate.suites.context import CHECKS, FRONT, Context

_DIGEST = len("sha256:") + 12


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


def about(config_args: Sequence[str], start: Path, environment: Environment) -> bool | None:
    """Whether the paths of a command line are smoke tests (True) or checks (False); None: only collecting will tell."""
    given = [(start / argument.partition("::")[0]).resolve() for argument in config_args]

    def all_in(names: Sequence[str]) -> bool:
        folders = [(environment.root / name).resolve() for name in names]
        return bool(given) and all(any(folder in (path, *path.parents) for folder in folders) for path in given)

    if all_in(environment.smoke.folders):
        return True
    return False if all_in(environment.checks.folders) else None


def context(environment: Environment, *, smoke: bool, version: str | None) -> Context:
    """What a gate would tell: for checks the release named or the newest, for smoke tests the one that serves.

    Raises UsageError for a release that does not exist or does not serve, and for smoke tests where nothing answers.
    """
    from gate import engines

    engine = engines.create(environment)
    serving = engine.stable()
    stable = releases.known(serving.version, serving.digest, serving.commit, Path(serving.folder)) if serving else None
    instance = serving.id if serving else None
    if smoke:
        if serving is None:
            step = f"python deploy_gate.py {environment.name} --version VERSION"
            raise UsageError(f"no release serves in {environment.name}, so there is nothing to test", next_step=step)
        if version is not None and _version(version, environment) != serving.version:
            raise UsageError(
                f"--release {version}: smoke tests are about what serves in {environment.name}, "
                f"and that is {serving.version}",
                next_step=f"leave --release out, or python deploy_gate.py {environment.name} --version {version}",
            )
        _must_answer(engine.endpoint(None), serving, environment)
        return Context(environment.name, FRONT, None, stable, stable, instance, instance)
    return Context(
        environment.name,
        CHECKS,
        release=_wanted(environment, version),
        stable=stable,
        stable_instance=instance,
        known_digests=_known_digests(environment),
    )


def _wanted(environment: Environment, version: str | None) -> Release | None:
    """The release named, or the newest; one with build metadata is a variant that nobody means unless they say so."""
    place = source(environment)
    if version is not None:
        return place.get(_version(version, environment))
    found = place.versions()
    plain = [name for name in found if semver.Version.parse(name).build is None]
    if found and not plain:
        raise UsageError(
            f"which release? {environment.releases.source} holds only variants: {', '.join(found)}",
            next_step=f"add --release {found[-1]}",
        )
    return place.get(plain[-1]) if plain else None


def _must_answer(front: Endpoint, serving: Instance, environment: Environment) -> None:
    """Raises UsageError unless something accepts connections at the front door."""
    place = urlsplit(front.url)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), timeout=5).close()
    except OSError as fault:
        raise UsageError(
            f"nothing answers at {front.url}, where {serving.version} should serve: {fault.strerror or fault}",
            next_step=f"python deploy_gate.py {environment.name} up",
        ) from None


def subject(found: Context) -> str:
    """One line about which release a run judges."""
    if found.phase != CHECKS:
        return f"smoke tests of {_named(found.stable)} at the front door"
    serves = f"serves {found.stable.version}" if found.stable else "nothing serves yet"
    return f"checks of {f'release {_named(found.release)}' if found.release else 'no release'}, {serves}"


def _named(release: Release | None) -> str:
    if release is None:
        return "nothing"
    digest = release.digest if len(release.digest) <= _DIGEST else f"{release.digest[:_DIGEST]}…"
    return f"{release.version} ({digest})"


def _version(text: str, environment: Environment) -> str:
    try:
        return str(releases.parse_version(text))
    except UsageError as fault:
        raise UsageError(str(fault), next_step=f"python deploy_gate.py {environment.name} releases") from None


def _known_digests(environment: Environment) -> dict[str, str]:
    if environment.state.url is None and not (environment.state_folder / "gate.db").is_file():
        return {}
    from gate.records.store import Store

    return Store.of(environment).known_digests()


def judged(
    result: SuiteResult, environment: Environment, *, smoke: bool, whole: bool
) -> tuple[Verdict | None, readiness.Readiness]:
    """The verdict on a run, by the rules the gate itself would use, and its readiness.

    A part of a suite can prove NO-GO, but never GO: then there is no verdict. A readiness minimum is for the whole.
    """
    scored = readiness.assess(result, environment.readiness.weights)
    if smoke:
        found = verdict.after(result, environment.all_rules)
    else:
        found = verdict.before(result, scored, environment.readiness.minimum if whole else 0)
    return (None if found.decision is Decision.GO and not whole else found), scored


def summary(scored: readiness.Readiness) -> list[str]:
    """Readiness by category, and the gaps."""
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
    return lines


def title(found: Verdict | None, gaps: int) -> str:
    """GO, NO-GO or none: a run by hand rolls nothing back, it only says what a deployment would do."""
    if found is None:
        return "NO VERDICT  (part of a suite)"
    if found.decision is Decision.GO:
        return f"GO with {gaps} gap{'' if gaps == 1 else 's'}" if gaps else "GO"
    return "NO-GO" if found.decision is Decision.NO_GO else f"NO-GO  (in a deployment: {found.decision})"


def floored(score: float) -> str:
    """A score with one decimal, never rounded up to a limit it does not reach."""
    return f"{math.floor(score * 10) / 10:.1f}"
