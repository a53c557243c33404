"""Database Migrations: the way up, and above all the way back down."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Database Migrations"), pytest.mark.requires("migrations")]


@pytest.mark.critical
def test_schema_is_known_to_the_release(pending: Any, context: Any, warn: Any) -> None:
    """The database is at a revision this release carries."""
    if pending.unknown:
        ahead = f"the database is at revision {pending.current}, which release {context.release.version} does not carry"
        assert context.allow_downgrade, (
            f"{ahead}: deploy a release that does, or ask for this one with --allow-downgrade"
        )
        warn(f"{ahead}; a later release has migrated it, and this one must be able to live with that schema")


@pytest.mark.critical
def test_every_migration_has_a_downgrade(migrations: Any, pending: Any, no_faults: Any, listed: Any, warn: Any) -> None:
    """Every migration that would run can be taken back: its downgrade does something."""
    one_way = [item for item in migrations.revisions() if not item.has_downgrade]
    to_run = {item.id for item in pending.migrations}
    found = [f"{item.id} {item.title} ({item.file}) has no downgrade" for item in one_way if item.id in to_run]
    no_faults(found, "Write one that takes back what the upgrade does; a rollback of the schema needs it.")
    if one_way:
        warn(f"applied earlier, without a downgrade: {listed([item.id for item in one_way])}")


@pytest.mark.critical
def test_migrations_run_up_and_down_on_a_copy(pending: Any, rehearse: Any, no_faults: Any) -> None:
    """On a copy of the live database the migrations run up and down, and leave schema and data as they were."""
    if pending.migrations:
        no_faults(rehearse(), "Correct the migration or its downgrade; only the copy was touched.")


@pytest.mark.critical
@pytest.mark.requires("stable")
def test_migrations_do_not_break_what_serves(pending_findings: Any, no_findings: Any) -> None:
    """The release that serves can live with the new schema: nothing is dropped, renamed, retyped or newly required."""
    no_findings(pending_findings(), "Split it: expand in this release, contract once no release needs the old form.")
