"""Core Business Flows: what callers of the application rely on today."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Core Business Flows")


@pytest.mark.critical
@pytest.mark.requires("served_openapi")
def test_api_is_compatible_with_what_serves(
    context: Any,
    release: Any,
    stable: Any,
    openapi_breaks: Any,
    compare_versions: Any,
    no_faults: Any,
    listed: Any,
    warn: Any,
) -> None:
    """Callers of the release that serves can call this one: nothing they use is gone or newly required."""
    assert release.openapi, (
        f"release {stable.version} describes its API and {release.version} does not: build it with its OpenAPI document"
    )
    found = openapi_breaks(stable.openapi, release.openapi)
    if found and context.allow_downgrade and compare_versions(release.version, stable.version) < 0:
        warn(f"going back takes away what {stable.version} added: {listed(found)}")
        return
    no_faults(found, "Keep what is in use until its last caller is gone, or give it a new path.")


@pytest.mark.critical
@pytest.mark.requires("stable", "invariants")
def test_data_is_sound_before(invariants: Any, no_faults: Any) -> None:
    """Every data invariant holds now: what is broken already must not be blamed on the release, nor built upon."""
    assert invariants, "no invariant was measured"
    broken = [f"{each.name}: {each.rows} rows, such as {each.sample}" for each in invariants if each.rows]
    no_faults(broken, "Repair the data first; the release that serves has broken it, or somebody by hand.")
