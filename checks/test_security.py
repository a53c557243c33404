"""Security: dependencies, secrets and code."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.category("Security")


@pytest.mark.requires("dependencies")
def test_dependencies_have_no_known_vulnerability(
    dependency_audit: Any, no_faults: Any, listed: Any, inconclusive: Any, warn: Any
) -> None:
    """No pinned dependency has a known vulnerability."""
    audit = dependency_audit()
    if audit is None:
        inconclusive("the package index gave no advisories in time; try again, or audit elsewhere")
    no_faults(audit.vulnerable, "Update it in the lock file.")
    if not audit.audited:
        inconclusive(f"the package index knows none of the {len(audit.skipped)} dependencies; nothing was audited")
    if audit.skipped:
        total = audit.audited + len(audit.skipped)
        warn(f"{len(audit.skipped)} of {total} dependencies could not be audited: {listed(audit.skipped)}")


@pytest.mark.critical
def test_no_secret_is_committed(environment: Any, secret_findings: Any, no_findings: Any) -> None:
    """No password, key or token stands in the files of the project."""
    found = secret_findings(environment.scan.secrets)
    no_findings(
        found, "Change the secret that leaked; if it is none, audit it into .secrets.baseline (detect-secrets)."
    )


@pytest.mark.requires("code")
def test_code_has_no_grave_weakness(environment: Any, code_findings: Any, no_findings: Any) -> None:
    """bandit finds no weakness of high severity and confidence in the code."""
    no_findings(code_findings(environment.scan.code), "Correct the code, or say why with `# nosec TEST` there.")


def test_files_with_secrets_are_kept_from_others(secret_files: Any, no_faults: Any, inconclusive: Any) -> None:
    """Nobody but its owner, or its group, reads a file with secrets; nobody but its owner writes one."""
    found = [file.fault for file in secret_files if file.fault]
    no_faults(found, "chmod o-rwx,g-w FILE; a secret that others could read is to be changed.")
    unknown = [f"{file.what} {file.file}: {file.unknown}" for file in secret_files if file.mode is None]
    if unknown:
        inconclusive("; ".join(unknown))
