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
    """Every migration that would run can be taken back, or is marked as irreversible."""
    one_way = [item for item in migrations.revisions() if not item.has_downgrade]
    to_run = {item.id for item in pending.migrations} - pending.irreversible
    found = [f"{item.id} {item.title} ({item.file}) has no downgrade" for item in one_way if item.id in to_run]
    no_faults(found, "Write one that takes back what the upgrade does, or mark it, gate: irreversible.")
    applied = [item.id for item in one_way if item.id not in pending.irreversible]
    if applied:
        warn(f"applied earlier, without a downgrade: {listed(applied)}")
    if pending.irreversible:
        warn(f"marked as irreversible, so the schema would stay: {listed(sorted(pending.irreversible))}")


@pytest.mark.critical
@pytest.mark.requires("copy")
def test_migrations_run_up_and_down_on_a_copy(
    pending: Any, rehearse: Any, no_faults: Any, measure: Any, warn: Any
) -> None:
    """On a copy of the live database the migrations run up, and down again to schema and data as they were."""
    if not pending.migrations:
        return
    found = rehearse()
    hint = "Correct the migration or its downgrade; only the copy was touched."
    no_faults([found.failed] if found.failed else [], hint)
    hint = "Correct the downgrade, or mark the migration, gate: irreversible, if nothing can bring that back."
    no_faults([*found.run.schema_differences, *found.run.data_differences], hint)
    locks = ", ".join(f"{mode} on {name}" for name, mode in found.run.locks)
    measure("migration_time", found.run.up_seconds, detail=f"on the copy, with {locks or 'no lock on what was there'}")
    for name, rows in found.run.rewrites:
        if rows:
            warn(f"{name} is written anew, {rows} rows: nobody reads or writes it meanwhile")
    measure("copy_time", found.run.copy_seconds, detail="to dump the live database and restore it")


@pytest.mark.critical
@pytest.mark.requires("stable", "rehearsal")
def test_what_serves_lives_on_the_new_schema(pending: Any, lives: Any, context: Any, warn: Any, rehearse: Any) -> None:
    """On a migrated copy, the release that serves passes its critical smoke tests: it can stay, and be gone back to."""
    if not pending.migrations:
        return
    found = rehearse().of(context.stable.version)
    if pending.contract and found is not None and found.failures:
        warn(f"{context.stable.version} cannot live on the new schema: {found.failures[0]}")
        return  # its author says so too; whether it may be deployed, the way back decides
    lives(
        context.stable,
        "Split the migration: expand in this release, contract once no release needs the old form; "
        "or mark it, gate: contract, and let users wait while it runs.",
    )


@pytest.mark.critical
@pytest.mark.requires("stable", "rehearsal")
def test_the_release_works_on_the_migrated_copy(pending: Any, lives: Any, context: Any) -> None:
    """On a migrated copy of the live data, the release passes its critical smoke tests."""
    if pending.migrations:
        lives(context.release, "Mend the release; only the copy was touched.")


@pytest.mark.critical
def test_there_is_a_way_back(pending: Any, way_back: Any, context: Any, environment: Any, tell: Any, warn: Any) -> None:
    """It is known how the deployment would be taken back: by a switch, in a pause users are allowed, or, signed for,
    not at all."""
    found = way_back()
    tell("way_back", found.facts())
    if found.lives:
        return
    old, allowed = context.stable.version, environment.database.pause
    cannot = f"{old} cannot live on the new schema"
    longest = max(found.pause, found.pause_back if found.leads_back else 0.0)
    assert allowed is not None, (
        f"{cannot}, so users would wait about {longest:.1f} s: "
        'allow it with [database] pause = "10s" and [traffic] try_duration at least as long, or split the migration'
    )
    assert longest <= allowed, (
        f"{cannot}, so users would wait about {longest:.1f} s, and [database] pause allows {allowed:g} s"
    )
    assert found.leads_back or context.roll_forward, (
        f"{cannot}, and {', '.join(sorted(pending.irreversible))} cannot be taken back: there would be no way back. "
        'Split the migration, or sign for it: --roll-forward-only "why"'
    )
    warn(f"{cannot}; way back: {found}")


@pytest.mark.critical
@pytest.mark.requires("stable")
def test_migrations_do_not_break_what_serves(
    pending: Any, pending_findings: Any, no_findings: Any, no_faults: Any, context: Any, rehearse: Any
) -> None:
    """The release that serves can live with the new schema: nothing is dropped, renamed, retyped or newly required,
    but in a migration that is marked as contract and was rehearsed."""
    no_findings(
        pending_findings(),
        "Split it: expand in this release, contract once no release needs the old form, and mark it, gate: contract.",
    )
    if pending.contract and rehearse().of(context.stable.version) is None:
        no_faults(
            [f"{name} is marked as contract" for name in sorted(pending.contract)],
            "Whether that is right only a rehearsal can tell, and there was none.",
        )
