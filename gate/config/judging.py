"""What a release is judged by: suites, limits, settings and papers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator

from gate.config.fields import Seconds, Section
from gate.judging.limits import Statistic, Unit
from gate.results import Category, Severity


class Suite(Section):
    """Which folders of cases run, and for how long at most."""

    folders: Annotated[list[str], Field(min_length=1, description="Folders or files of cases")]
    timeout: Seconds = Field(600.0, description="For the whole suite")


class SmokeSuite(Suite):
    """The smoke suite. A failed case is run once more, and is flaky, not failed, if it passes then."""

    flake_budget: Annotated[int, Field(ge=0)] = Field(
        3, description="Flaky cases forgiven in the last 20 deployments; beyond it a first failure stands"
    )


class RuleRow(Section):
    """One limit on one signal; replaces the default rule of that signal."""

    signal: Annotated[str, Field(description="What is measured")]
    go: str | None = Field(None, description="GO while this holds, such as <= 1%")
    rollback: str | None = Field(None, description="ROLLBACK once this holds, such as > 5%")
    unit: Annotated[Unit | None, Field(strict=False)] = Field(
        None, description="Only for a signal of your own: count, seconds, share or bytes"
    )
    statistic: Annotated[Statistic | None, Field(strict=False)] = Field(
        None, description="What is held against the limits; only error_rate has a choice: sequential or share"
    )
    min_n: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="Fewer samples are HOLD; a test on live traffic may ask for more"
    )
    severity: Annotated[Severity, Field(strict=False)] = Field(Severity.HIGH, description="Of the rule")
    dry_run: bool = Field(False, description="Only report, decide nothing")


class Readiness(Section):
    """What GO needs before a deployment."""

    minimum: Annotated[float, Field(ge=0, le=100)] = Field(90.0, description="Lowest total score for GO")
    weights: dict[str, Annotated[float, Field(ge=0)]] = Field({}, description="Category = weight; 1 where not named")

    @model_validator(mode="after")
    def _known_categories(self) -> Readiness:
        known = [str(category) for category in Category]
        for name in self.weights:
            if name not in known:
                raise ValueError(f"weights: {name!r} is not a category; the categories are {', '.join(known)}")
        return self


class Settings(Section):
    """Settings the services need: checked before a deployment, never printed."""

    required: list[str] = Field([], description="Variables that some service must be given")
    formats: dict[str, str] = Field({}, description="Regular expression a setting must match whole")
    files: list[str] = Field(
        [],
        description="Files with secrets, on every machine where the release runs, that others may neither read nor "
        "write: paths in the project, or whole ones; on a server, whole ones",
    )

    @model_validator(mode="after")
    def _patterns(self) -> Settings:
        for name, pattern in self.formats.items():
            try:
                re.compile(pattern)
            except re.error as fault:
                raise ValueError(f"formats: {name}: not a regular expression: {fault}") from None
        return self


class Documents(Section):
    """Papers a release must have."""

    runbook: str | None = Field(None, description="File with a section on rolling back")
    changelog: str | None = Field(None, description="File with an entry for each version")


class Pipeline(Section):
    """What the CI left behind and how it is written."""

    workflows: str | None = Field(None, description="Folder of CI workflow files")
    test_results: str | None = Field(None, description="JUnit XML of the commit's test run")


class Scan(Section):
    """What the security checks read."""

    dependencies: list[str] = Field([], description="Requirement files with pinned versions")
    code: list[str] = Field([], description="Folders of Python code")
    secrets: list[str] = Field([], description="Folders searched for committed secrets")
