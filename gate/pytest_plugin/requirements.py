"""``requires("…")``: what an environment may declare or not. A case whose requirement is not declared does not apply.

A tool that is merely not installed is no requirement: a case that lacks one could not tell, and says so itself.
"""

from __future__ import annotations

from collections.abc import Callable

from gate import releases
from gate.config import CommandSettings, ContainerSettings, Environment, SwarmSettings
from gate.errors import OperationFailed
from gate.releases import Release
from gate.suites.context import CANDIDATE, CHECKS, Context


def _describes_api(release: Release | None) -> bool:
    """Whether a release has an OpenAPI document; of what serves the gate knows only the folder."""
    if release is None or release.openapi is not None:
        return release is not None
    try:
        return releases.read(release.folder).openapi is not None
    except OperationFailed:  # whether it is whole is a check of its own
        return False


Declared = Callable[[Environment, Context], bool]

REQUIREMENTS: dict[str, tuple[Declared, str]] = {
    "database": (lambda env, _: env.database is not None, "no [database] in this environment"),
    "migrations": (lambda env, _: bool(env.database and env.database.migrations), "no [database] migrations"),
    "copy": (
        lambda env, _: not (isinstance(env.engine, ContainerSettings) and env.engine.remote),
        "a private copy would be on the gate's machine, which the server's containers do not reach",
    ),
    "rehearsal": (lambda env, _: bool(env.database and env.database.rehearsal), "[database] rehearsal is off"),
    "invariants": (lambda env, _: bool(env.database and env.database.invariants), "no [database] invariants"),
    "cache": (lambda env, _: env.cache is not None, "no [cache] in this environment"),
    "ready": (lambda env, _: any(item.ready for item in env.services.values()), "no service has ready"),
    "in_flight": (lambda env, _: any(item.in_flight for item in env.services.values()), "no service has in_flight"),
    "digest": (lambda env, _: any(item.digest for item in env.services.values()), "no service has digest"),
    "exclusive": (lambda env, _: any(item.exclusive for item in env.services.values()), "no service is exclusive"),
    "units": (
        lambda env, _: not isinstance(env.engine, CommandSettings | SwarmSettings),
        "what starts it is the team's",
    ),
    "clocks": (
        lambda env, _: env.database is not None or (isinstance(env.engine, ContainerSettings) and env.engine.remote),
        "all is on one machine, which has one clock",
    ),
    "images": (lambda env, _: isinstance(env.engine, ContainerSettings), "releases are no images"),
    "stack": (lambda env, _: isinstance(env.engine, SwarmSettings), "no Docker Swarm"),
    "test_results": (lambda env, _: bool(env.pipeline.test_results), "no [pipeline] test_results"),
    "workflows": (lambda env, _: bool(env.pipeline.workflows), "no [pipeline] workflows"),
    "dependencies": (lambda env, _: bool(env.scan.dependencies), "no [scan] dependencies"),
    "code": (lambda env, _: bool(env.scan.code), "no [scan] code"),
    "secrets": (lambda env, _: bool(env.scan.secrets), "no [scan] secrets"),
    "stable": (lambda _, context: context.stable is not None, "nothing serves yet: this is the first deployment"),
    "openapi": (lambda _, context: bool(context.release and context.release.openapi), "the release has no openapi"),
    "served_openapi": (lambda _, context: _describes_api(context.stable), "what serves has no openapi"),
    "deployment": (lambda _, context: context.deployment is not None, "no deployment is under way"),
    "candidate": (lambda _, context: context.phase == CANDIDATE, "only on a candidate without traffic"),
    "front": (lambda _, context: context.phase not in (CHECKS, CANDIDATE), "only at the front door"),
}
"""Name → whether an environment and a run have it, and what to say where they have not."""

OPTION = "option:"
"""``requires("option:NAME")``: a case of the team's own that only some of its environments can have, which say so."""


def lacking(names: list[str], environment: Environment, context: Context) -> str | None:
    """Why a case with these requirements does not apply here; None when it does."""
    for name in names:
        if name.startswith(OPTION):
            if name.removeprefix(OPTION) not in environment.options:
                return f"no [options] {name.removeprefix(OPTION)}"
            continue
        declared, otherwise = REQUIREMENTS[name]
        if not declared(environment, context):
            return otherwise
    return None
