"""Each check against its fault: planted in a made-up project, seen by the real case through the real plugin.

Faults that do not hide each other are planted together, so that few runs of pytest see many of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from gate.results import Case, CaseOutcome
from tests.checks.projects import API, FIRST, GOOD_RESULTS, GOOD_RUNBOOK, GOOD_WORKFLOW, SECOND, Project, migration

FAILED, WARNING, PASSED = CaseOutcome.FAILED, CaseOutcome.WARNING, CaseOutcome.PASSED
NOT_APPLICABLE = CaseOutcome.NOT_APPLICABLE

SECRET = "ghp_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3"  # made up, of the shape of a real one


def expect(cases: dict[str, Case], **expected: tuple[CaseOutcome, str] | CaseOutcome) -> None:
    """Each named case ended as expected, and its message says so; every fault is told with what to do."""
    for name, wanted in expected.items():
        outcome, text = wanted if isinstance(wanted, tuple) else (wanted, "")
        case = cases[f"test_{name}"]
        assert (case.outcome, text in case.message) == (outcome, True), f"{name}: {case.outcome} {case.message!r}"
        assert SECRET not in case.message + case.details


IMAGES = {  # tests/containers/test_checks.py plants their faults
    "test_images_are_on_the_host",
    "test_image_runs_as_nobody_special",
    "test_every_service_says_whether_it_lives",
    "test_limits_hold_for_what_runs",
    "test_images_are_pinned",
    "test_disks_have_room",
}
SWARM = "test_stack_limits_what_runs"  # tests/swarm/test_stack_file.py


def test_nothing_fails_where_nothing_is_wrong(project: Project) -> None:
    stable, new = project.release("1.0.0", FIRST), project.release("1.1.0", FIRST, SECOND)
    project.write("invariants.sql", "-- name: nothing-is-wrong\nSELECT 1 WHERE false;\n")
    project.table["database"]["invariants"] = "invariants.sql"
    cases = project.checks(new, stable, known_digests={"1.0.0": stable.digest, "1.1.0": new.digest})
    of_images = {name for name in cases if name in IMAGES}
    assert {name: (case.outcome, case.message) for name, case in cases.items() if case.outcome is not PASSED} == {
        **dict.fromkeys(of_images, (CaseOutcome.NOT_APPLICABLE, "releases are no images")),
        SWARM: (CaseOutcome.NOT_APPLICABLE, "no Docker Swarm"),
    }
    assert len(cases) >= 24 + len(IMAGES)
    assert of_images == IMAGES
    assert len({case.category for case in cases.values()}) == 8


def test_first_set_of_faults(project: Project) -> None:
    stable = project.release("2.0.0", FIRST, api=API)
    new = project.release(
        "1.1.0",
        FIRST,
        migration(2, "ALTER TABLE sale DROP COLUMN note; ALTER TABLE nowhere ADD COLUMN x int", ""),
        api={**API, "paths": {"/other": API["paths"]["/sales"]}},
    )
    (new.folder / "alembic.ini").write_text((new.folder / "alembic.ini").read_text() + "# edited\n")
    (stable.folder / "openapi.json.old").write_text("")
    project.write(".github/workflows/tests.yml", GOOD_WORKFLOW.replace("vars.PLACE", "vras.PLACE"))
    project.write(".github/workflows/other.yml", GOOD_WORKFLOW.replace('"$PLACE"', "https://shop.acme.io/health"))
    project.write("reports/junit.xml", '<testsuite><testcase name="x"><failure/></testcase></testsuite>')
    project.write("app/main.py", f'import subprocess\nTOKEN = "{SECRET}"\nsubprocess.call("ls " + TOKEN, shell=True)\n')
    (project.folder / "docs/runbook.md").rename(project.folder / "docs/old.md")
    project.write("CHANGELOG.md", "# Changelog\n\n## 1.0.0\n\n- First.\n\n## 1.1.0-rc.1\n\n- Nearly.\n")
    project.audited([{"name": "old", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}])
    project.table["services"]["web"] |= {"limits": {"cpu": 1.0, "memory": "1M"}, "env": {"TOKEN": "changeme"}}
    project.table["services"]["worker"] = {"command": ["work"]}
    project.table["database"]["minimum_version"] = 99
    project.table["cache"]["minimum_version"] = 99
    project.table["contacts"] = {"database": "Anna, +49 30 5550 103"}
    project.table["rules"] = [{"signal": "memory", "rollback": "> 0.01%"}, {"signal": "cpu", "go": "<= 100%"}]
    cases = project.checks(new, stable, known_digests={"1.1.0": "sha256:" + "0" * 64})
    expect(
        cases,
        artifact_is_present_and_well_formed=(FAILED, "alembic.ini: changed since it was built"),
        version_still_names_the_same_content=(FAILED, "build it under a new version"),
        version_is_newer_than_what_serves=(FAILED, "release 1.1.0 is older than 2.0.0"),
        rollback_target_is_still_deployable=(FAILED, "openapi.json.old: not listed"),
        workflows_are_lint_clean=(FAILED, "vras"),
        workflows_hold_no_url_or_secret=(FAILED, ".github/workflows/other.yml:9: a URL is written out"),
        tests_of_the_commit_are_green=(FAILED, "1 of 1 tests failed"),
        every_migration_has_a_downgrade=(FAILED, "0002 change 2"),
        migrations_run_up_and_down_on_a_copy=(FAILED, "upgrade of 0002 (migrations/versions/0002.py) failed"),
        migrations_do_not_break_what_serves=(FAILED, "ALTER TABLE sale DROP COLUMN note"),
        settings_are_real=(FAILED, "[services.web.env] TOKEN: empty or still a placeholder"),
        database_is_ready_for_a_deployment=(FAILED, "< 99 ([database] minimum_version)"),
        cache_is_ready_for_a_deployment=(FAILED, "< 99 ([cache] minimum_version)"),
        every_service_has_limits=(FAILED, "[services.worker] has no limits"),
        host_has_headroom=(FAILED, "memory"),
        api_is_compatible_with_what_serves=(FAILED, "GET /sales: the path is gone"),
        dependencies_have_no_known_vulnerability=(FAILED, "old 1.0: CVE-1, fixed in 1.1"),
        no_secret_is_committed=(FAILED, "app/main.py:2: "),
        code_has_no_grave_weakness=(FAILED, "app/main.py:3: "),
        runbook_says_how_to_roll_back=(FAILED, "docs/runbook.md: cannot be read"),
        changelog_names_this_version=(FAILED, "no entry for 1.1.0"),
        emergency_contacts_can_be_reached=(FAILED, "no primary"),
    )


def test_second_set_of_faults(project: Project) -> None:
    stable = project.release("1.0.0", FIRST)
    new = project.release(
        "1.1.0+build.5",
        FIRST,
        migration(2, "ALTER TABLE sale ADD COLUMN tip bigint", "ALTER TABLE sale DROP COLUMN note").replace(
            "op.execute('ALTER TABLE sale ADD", "op.get_bind().exec_driver_sql('ALTER TABLE sale ADD"
        ),
        api={"openapi": "3.1.0"},
    )
    (new.folder / "release.json").write_text("{}")
    project.write(".github/workflows/tests.yml", GOOD_WORKFLOW.replace("${{ vars.PLACE }}", SECRET))
    project.write("reports/junit.xml", '<testsuite><testcase name="x"><skipped/></testcase></testsuite>')
    project.write("app/main.py", "import tempfile\n\nNAME = tempfile.mktemp()\n")
    project.write("docs/runbook.md", GOOD_RUNBOOK.replace("Rolling back", "Going home"))
    project.write("CHANGELOG.md", "# Changelog\n\n## v1.1.0\n\n## v1.0.0\n\n- First.\n")
    project.audited([{"name": "private", "skip_reason": "not known"}])
    project.table["services"]["web"]["env"]["TOKEN"] = "too-short"
    project.table["cache"]["eviction"] = ["allkeys-lru"]
    project.table["contacts"] = {"primary": "Anna", "database": "TODO"}
    cases = project.checks(new, stable)
    expect(
        cases,
        artifact_is_present_and_well_formed=(FAILED, "release.json: not a release manifest"),
        workflows_hold_no_url_or_secret=(FAILED, ".github/workflows/tests.yml:11: GitHub Token"),
        tests_of_the_commit_are_green=(FAILED, "all 1 tests were skipped"),
        migrations_run_up_and_down_on_a_copy=(FAILED, "note"),
        migrations_do_not_break_what_serves=(WARNING, "cannot tell: the migrations cannot be written as SQL"),
        settings_are_real=(FAILED, "[settings] formats"),
        cache_is_ready_for_a_deployment=(FAILED, "maxmemory-policy is noeviction, allowed: allkeys-lru"),
        dependencies_have_no_known_vulnerability=(WARNING, "nothing was audited"),
        code_has_no_grave_weakness=(WARNING, "app/main.py:3: "),
        runbook_says_how_to_roll_back=(FAILED, "no heading speaks of a rollback"),
        changelog_names_this_version=(FAILED, "the entry for 1.1.0 is empty"),
        emergency_contacts_can_be_reached=(FAILED, "[contacts] primary: no number or address in it"),
        version_is_newer_than_what_serves=PASSED,
    )
    assert "[contacts] database: a placeholder" in cases["test_emergency_contacts_can_be_reached"].message


def test_third_set_of_faults(project: Project) -> None:
    """What a person has allowed, or marked as harmless, and what an environment does not declare."""
    stable = project.release("2.0.0", FIRST)
    new = project.release("1.1.0", FIRST)
    project.write("app/password.py", f'TOKEN = "{SECRET}"\n')
    project.audited_as_harmless("app")
    project.write("docs/runbook.md", "# Runbook\n\n## Rollback\n")
    project.table["services"]["web"]["env"]["TOKEN"] = "password-1234567"
    project.table["scan"] |= {"dependencies": [], "code": []}
    project.table["pipeline"] = {}
    cases = project.checks(new, stable, allow_downgrade=True)
    expect(
        cases,
        version_is_newer_than_what_serves=(WARNING, "allowed explicitly"),
        no_secret_is_committed=PASSED,
        runbook_says_how_to_roll_back=(FAILED, "characters"),
        workflows_are_lint_clean=NOT_APPLICABLE,
        workflows_hold_no_url_or_secret=NOT_APPLICABLE,
        tests_of_the_commit_are_green=NOT_APPLICABLE,
        dependencies_have_no_known_vulnerability=NOT_APPLICABLE,
        code_has_no_grave_weakness=NOT_APPLICABLE,
    )


def test_fourth_set_of_faults(project: Project) -> None:
    """The pipeline's papers are of something else, and no server answers."""
    stable, new = project.release("1.0.0", FIRST), project.release("1.1.0", FIRST, SECOND)
    project.write("reports/junit.xml", GOOD_RESULTS.replace("abc1234", "def5678"))
    project.write(".github/workflows/tests.yml", "jobs: [")
    project.table["state"] = {"folder": "elsewhere"}
    project.table["database"]["url"] = "postgresql://made_up:Rj7-checks-database-4@127.0.0.1:1/made_up"
    project.table["cache"]["url"] = "redis://:Rj7-checks-cache-4@127.0.0.1:1/0"
    project.table["rules"] = [{"signal": name, "go": "< 0.001%"} for name in ("cpu", "memory", "disk")]
    project.table["contacts"]["primary"] = "<name>, <number>"
    project.audited([{"name": "known", "version": "1", "vulns": []}, {"name": "private", "skip_reason": "not known"}])
    cases = project.checks(new, stable)
    expect(
        cases,
        engine_and_proxy_answer=(FAILED, "the proxy does not answer"),
        database_is_ready_for_a_deployment=(FAILED, "cannot be reached"),
        cache_is_ready_for_a_deployment=(FAILED, "ConnectionError"),
        host_has_headroom=(WARNING, "disk"),
        tests_of_the_commit_are_green=(FAILED, "the tests ran on commit def5678, the release is of abc1234def"),
        workflows_are_lint_clean=FAILED,
        emergency_contacts_can_be_reached=(FAILED, "[contacts] primary: a placeholder"),
        dependencies_have_no_known_vulnerability=(WARNING, "1 of 2 dependencies could not be audited: private"),
        every_migration_has_a_downgrade=CaseOutcome.ERROR,
    )


def test_a_database_that_a_later_release_migrated(project: Project, table: dict[str, Any]) -> None:
    """The shared database is at 0001; this release begins its own history."""
    other = FIRST.replace('"0001"', '"a001"')
    release = project.release("1.1.0", other)
    folders = ("checks/test_migrations.py",)
    expect(
        project.checks(release, folders=folders),
        schema_is_known_to_the_release=(FAILED, "at revision 0001, which release 1.1.0 does not carry"),
        migrations_do_not_break_what_serves=(NOT_APPLICABLE, "first deployment"),
    )
    expect(
        project.checks(release, folders=folders, allow_downgrade=True),
        schema_is_known_to_the_release=(WARNING, "must be able to live with that schema"),
    )


def test_no_room_for_a_backup(project: Project) -> None:
    """/proc is a disk on which nothing is ever free."""
    project.table["state"] = {"folder": "/proc/gate"}
    cases = project.checks(project.release("1.1.0", FIRST), folders=("checks/test_environment.py",))
    expect(cases, database_is_ready_for_a_deployment=(FAILED, "0 MB free < "))


def test_what_is_not_declared_does_not_apply(project: Project) -> None:
    for name in ("database", "cache", "stack", "pipeline", "scan"):
        del project.table[name]
    project.write("example.txt", "")
    expect(
        project.checks(project.release("1.1.0")),
        rollback_target_is_still_deployable=NOT_APPLICABLE,
        database_is_ready_for_a_deployment=NOT_APPLICABLE,
        cache_is_ready_for_a_deployment=NOT_APPLICABLE,
        migrations_run_up_and_down_on_a_copy=NOT_APPLICABLE,
        api_is_compatible_with_what_serves=NOT_APPLICABLE,
        workflows_are_lint_clean=NOT_APPLICABLE,
        tests_of_the_commit_are_green=NOT_APPLICABLE,
        dependencies_have_no_known_vulnerability=NOT_APPLICABLE,
        no_secret_is_committed=(FAILED, "no folder: nothing to scan"),  # every project has files
    )


def test_an_index_that_does_not_answer_is_no_pass(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real auditor, and a proxy where nobody listens."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    project.write("requirements.lock", "packaging==24.0\n")  # another file than the one whose answer is kept
    cases = project.checks(project.release("1.1.0", FIRST), folders=("checks/test_security.py",))
    expect(
        cases, dependencies_have_no_known_vulnerability=(WARNING, "cannot tell: the package index gave no advisories")
    )


SEVERE = {
    "drop column": "ALTER TABLE sale DROP COLUMN note;",
    "drop table": "DROP TABLE sale;",
    "drop view": "DROP VIEW totals;",
    "rename column": "ALTER TABLE sale RENAME COLUMN note TO remark;",
    "rename table": "ALTER TABLE sale RENAME TO sales;",
    "change type": "ALTER TABLE sale ALTER COLUMN total TYPE text;",
    "require a new field": "ALTER TABLE sale ADD COLUMN till text NOT NULL;",
    "require an old field": "ALTER TABLE sale ALTER COLUMN note SET NOT NULL;",
    "rewrite the table": "ALTER TABLE sale ADD COLUMN code uuid DEFAULT gen_random_uuid();",
    "revoke": "REVOKE SELECT ON sale FROM shop;",
}
MILD = {
    "index that blocks writes": "CREATE INDEX by_note ON sale (note);",
    "constraint that may refuse": "ALTER TABLE sale ADD CONSTRAINT c CHECK (total > 0) NOT VALID;",
    "no SQL at all": "ALTRE TABLE sale;",
}
HARMLESS = {
    "nullable column": "ALTER TABLE sale ADD COLUMN tip bigint;",
    "constant default": "ALTER TABLE sale ADD COLUMN tip bigint DEFAULT 0 NOT NULL;",
    "new table": "BEGIN; CREATE TABLE tip (id bigint PRIMARY KEY); CREATE INDEX by_id ON tip (id); COMMIT;",
    "index beside the writes": "CREATE INDEX CONCURRENTLY by_note ON sale (note);",
}


def test_what_counts_as_breaking(project: Project) -> None:
    rows = [(kind, name, sql) for kind in ("SEVERE", "MILD", "HARMLESS") for name, sql in globals()[kind].items()]
    project.write(
        "mine/test_rules.py",
        f"""
import pytest

pytestmark = pytest.mark.category("Database Migrations")


@pytest.mark.parametrize(("kind", "sql"), {[(kind, sql) for kind, _, sql in rows]!r}, ids={[row[1] for row in rows]!r})
def test_rule(migration_findings, kind, sql):
    found = migration_findings(sql, 18)
    assert kind == ("SEVERE" if any(item.severe for item in found) else "MILD" if found else "HARMLESS"), found
""",
    )
    cases = project.checks(project.release("1.1.0", FIRST), folders=("mine",))
    assert {name: case.message for name, case in cases.items() if case.outcome is not PASSED} == {}
    assert len(cases) == len(rows)
