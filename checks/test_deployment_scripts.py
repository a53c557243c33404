"""Deployment Scripts: what is about to be deployed, what it replaces, and what will run it."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Deployment Scripts")


@pytest.mark.critical
def test_artifact_is_present_and_well_formed(context: Any, release_faults: Any, no_faults: Any) -> None:
    """The release is there, whole, and unchanged since it was built."""
    assert context.release, "no release to judge: build one, or name it with --release VERSION"
    found = release_faults(context.release.folder)
    no_faults(found, f"Build release {context.release.version} again; never edit a release in place.")


@pytest.mark.critical
def test_version_still_names_the_same_content(release: Any, context: Any) -> None:
    """The version has the same digest as when it was first deployed here."""
    known = context.known_digests.get(release.version)
    rebuilt = f"release {release.version} was deployed here as {str(known)[:19]}… and is now {release.digest[:19]}…"
    advice = "build it under a new version, so that a rollback gets what it names"
    assert known in (None, release.digest), f"{rebuilt}: {advice}"


@pytest.mark.critical
def test_version_is_newer_than_what_serves(context: Any, compare_versions: Any, warn: Any) -> None:
    """The version is not older than the release that serves, unless a downgrade is asked for."""
    if context.stable is None:
        return
    new, serves = context.release, context.stable
    if compare_versions(new.version, serves.version) < 0:
        downgrade = f"release {new.version} is older than {serves.version}, which serves"
        assert context.allow_downgrade, f"{downgrade}: deploy a newer one, or ask for it with --allow-downgrade"
        warn(f"{downgrade}; allowed explicitly")
    elif new.digest == serves.digest:
        warn(f"release {new.version} is what serves already")


@pytest.mark.critical
@pytest.mark.requires("stable", "units")
def test_rollback_target_is_still_deployable(context: Any, release_faults: Any, no_faults: Any) -> None:
    """The release that serves now could be started again: its folder is there, whole and unchanged."""
    stable = context.stable
    no_faults(
        release_faults(stable.folder),
        f"Without it nothing could be rolled back to: build release {stable.version} again, and compare its digest.",
    )


@pytest.mark.critical
def test_engine_and_proxy_answer(engine: Any) -> None:
    """Engine and proxy are reachable and of a supported version."""
    facts = engine.facts()
    versions = f"{facts.engine} {facts.engine_version}, {facts.proxy} {facts.proxy_version}"
    assert facts.supported, f"{versions}: {facts.detail or 'not supported'}. Start or update them, then deploy again."
