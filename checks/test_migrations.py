"""Database Migrations: the way up, and above all the way back down."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.category("Database Migrations"), pytest.mark.requires("migrations")]


@pytest.fixture
def lives(rehearse: Any, no_faults: Any, inconclusive: Any) -> Any:
    """``lives(release, hint)`` fails with what a release failed on the migrated copy, where it was started there."""

    def judge(release: Any, hint: str) -> None:
        rehearsed = rehearse()
        found = rehearsed.of(release.version)
        if found is None:
            inconclusive(rehearsed.unknown or "the migrations did not run up and down, so nothing was started on them")
        no_faults([f"{release.version} on the new schema: {failure}" for failure in found.failures], hint)

    return judge


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
def test_migrations_run_up_and_down_on_a_copy(
    pending: Any, rehearse: Any, no_faults: Any, measure: Any, warn: Any
) -> None:
    """On a copy of the live database the migrations run up and down, and leave schema and data as they were."""
    if not pending.migrations:
        return
    found = rehearse()
    hint = "Correct the migration or its downgrade; only the copy was touched."
    no_faults([found.failed] if found.failed else [], hint)
    no_faults([*found.run.schema_differences, *found.run.data_differences], hint)
    locks = ", ".join(f"{mode} on {name}" for name, mode in found.run.locks)
    measure("migration_time", found.run.up_seconds, detail=f"on the copy, with {locks or 'no lock on what was there'}")
    for name, rows in found.run.rewrites:
        if rows:
            warn(f"{name} is written anew, {rows} rows: nobody reads or writes it meanwhile")
    measure("copy_time", found.run.copy_seconds, detail="to dump the live database and restore it")


@pytest.mark.critical
@pytest.mark.requires("stable", "rehearsal")
def test_what_serves_lives_on_the_new_schema(pending: Any, lives: Any, context: Any) -> None:
    """On a migrated copy, the release that serves passes its critical smoke tests: it can stay, and be gone back to."""
    if pending.migrations:
        lives(
            context.stable, "Split the migration: expand in this release, contract once no release needs the old form."
        )


@pytest.mark.critical
@pytest.mark.requires("stable", "rehearsal")
def test_the_release_works_on_the_migrated_copy(pending: Any, lives: Any, context: Any) -> None:
    """On a migrated copy of the live data, the release passes its critical smoke tests."""
    if pending.migrations:
        lives(context.release, "Mend the release; only the copy was touched.")


@pytest.mark.critical
@pytest.mark.requires("stable")
def test_migrations_do_not_break_what_serves(pending_findings: Any, no_findings: Any) -> None:
    """The release that serves can live with the new schema: nothing is dropped, renamed, retyped or newly required."""
    no_findings(pending_findings(), "Split it: expand in this release, contract once no release needs the old form.")
