"""Which release a rollback goes to, by the records; where there are none, ``unrecorded`` tells.

Without a name it is the one that was kept before, whatever else is on record. A name may lead further back, never
forward: to deploy is what proves a release.
"""

from __future__ import annotations

from pathlib import Path

from gate.engines.base import Instance
from gate.errors import OperationFailed, Refused, UsageError
from gate.records.store import Deployment, Store
from gate.releases import Release, damage, parse_version, read
from gate.rollback import served


def target(store: Store, stable: Instance, version: str | None, command: str) -> Release:
    """The release that served before ``stable`` does, or the one named; ``command`` begins each command that helps.

    Raises UsageError where there is none, Refused for one that failed here last or would lead forward, OperationFailed
    for one that cannot be deployed any more.
    """
    ways = served.before(store, stable.digest)
    if version is None and ways:
        return whole(ways[0].version, Path(ways[0].folder))
    refused: list[Refused] = []
    for item in _builds(store, version, but=stable.digest) if version is not None else ():
        refusal = _refusal(store, stable, item, ways, command)
        if refusal is None:
            release = whole(item.version, Path(item.folder))
            if release.digest == item.digest:
                return release
            told = f"{version} was built anew since it was kept here in deployment {item.id}: it is another release"
            refusal = Refused(told, next_step=_otherwise(ways, f"{command} --version {version}", command))
        refused.append(refusal)
    if refused:
        raise refused[0]
    raise UsageError(
        f"no accepted release {version or f'before {stable.version}'} to roll back to", next_step=f"{command} history"
    )


def whole(version: str, folder: Path) -> Release:
    """The release in a folder. Raises OperationFailed unless it is what its manifest says."""
    found = damage(folder)
    if found:
        raise OperationFailed(f"{version} cannot be deployed any more: {'; '.join(found[:3])}")
    return read(folder)


def told_of(failed: Deployment) -> str:
    """One sentence about a release that was rolled back here."""
    why = f": {failed.reasons[0]}" if failed.reasons else ""
    return f"was rolled back in deployment {failed.id} ({failed.started_at[:16]}Z, {failed.by}){why}"


def _builds(store: Store, version: str, *, but: str) -> list[Deployment]:
    """Each digest of a version that was kept here or failed here, newest first, by its newest run."""
    kept = {item.digest for item in store.accepted()}
    newest: dict[str, Deployment] = {}
    for item in store.deployments():
        if item.version == version and item.digest != but:
            newest.setdefault(item.digest, item)
    return [item for digest, item in newest.items() if digest in kept or served.failed(store, digest) is not None]


def _refusal(store: Store, stable: Instance, item: Deployment, ways: list[Deployment], command: str) -> Refused | None:
    """Why a named release is no way back; None: it is one, as is always what a rollback without a name goes to."""
    if ways and item.digest == ways[0].digest:
        return None
    failed = served.failed(store, item.digest)
    if failed is not None:
        deploy = f'{command} --version {item.version} --again "what is different now"'
        return Refused(f"{item.version} {told_of(failed)}", next_step=_otherwise(ways, deploy, command))
    older = parse_version(item.version) < parse_version(stable.version)
    if older or any(way.digest == item.digest for way in ways):
        return None
    return Refused(
        f"{item.version} is no way back from {stable.version}, for it is newer and was not kept before it",
        next_step=_otherwise(ways, f"{command} --version {item.version}", command),
    )


def _otherwise(ways: list[Deployment], deploy: str, command: str) -> str:
    """What else there is: the way back that is always open, or to deploy it, checked and proven."""
    back = f"{command} rollback   goes back to {ways[0].version}; or, " if ways else ""
    return f"{back}to deploy it: {deploy}"
