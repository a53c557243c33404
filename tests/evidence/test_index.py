"""The page of all deployments: what it says, beside the team's own figures, and that hostile text stays text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gate import environments
from gate.config import Environment
from gate.config.measuring import Baseline
from gate.config.parsing import parse
from gate.evidence import commits, index
from gate.machine import shell
from gate.results import Outcome
from tests.evidence.history import History, a_quarter
from tests.evidence.runs import ENVIRONMENT

BASELINE = """
[baseline]
success = "60%"
deployment = "15m-20m"
rollback = "30m-60m"
detection = "2h-8h"
"""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "here.toml").write_text(ENVIRONMENT + BASELINE, encoding="utf-8")
    return environments.load("here", tmp_path)


def page(environment: Environment, history: History) -> str:
    return index.write(environment, history.store, history.now).read_text(encoding="utf-8")


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_a_quarter_on_one_page(environment: Environment) -> None:
    report = environment.root / "reports" / "here" / "24" / "report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    text = page(environment, a_quarter())
    told = words(text)
    assert "1.10.1 serves since run 25." in told
    assert "Deployments that succeed 60 % 83 % +23 points" in told
    assert "Time of a deployment 15 min to 20 min 34.0 s 31 times as quick" in told
    assert "critical 3/3 resolved · high 3/4 resolved · minor 0/1 resolved" in told
    assert re.findall(r'<td class="n"><a href="([^"]+)"', text) == ["24/report.html"]  # the only one that is there
    assert text.count("<svg") == 3
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert not list((environment.root / "reports" / "here").glob(".*"))


def test_of_few_deployments_no_figure_is_pretended(environment: Environment) -> None:
    made = History()
    assert "Nothing was deployed yet." in words(page(environment, made))
    made.run(Outcome.RELEASED, why="<script>alert(1)</script>", version="1.0.0+<b>")
    text = page(environment, made)
    assert "too few: 1 of at least 5" in words(text)
    assert "times as quick" not in text
    assert "<script>" not in text
    assert "1.0.0+&lt;b&gt;" in text


def test_what_serves_is_not_where_a_rollback_was_to_lead_that_died_and_was_undone(environment: Environment) -> None:
    made = History()
    made.run(Outcome.RELEASED, version="1.0.0")
    good = made.run(Outcome.RELEASED, version="1.1.0")
    made.run(Outcome.ROLLED_BACK, action="rollback", version="1.0.0", serving=good, died=True)
    assert f"1.1.0 serves since run {good}. The newest run" in words(page(environment, made))
    made.run(Outcome.ROLLED_BACK, action="rollback", version="1.0.0", serving=good)
    assert "1.0.0 serves since run 4." in words(page(environment, made))


def test_it_is_made_whole_or_not_at_all(environment: Environment) -> None:
    first = page(environment, a_quarter())
    assert page(environment, a_quarter()) == first


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('deployment = "20m-15m"', "the shorter one comes first"),
        ('deployment = "15"', "write a duration such as 30m"),
        ('success = "160%"', "write a share of at most 100%"),
        ("success = 0.6", "write a share"),
    ],
)
def test_a_baseline_that_is_none_is_said(tmp_path: Path, line: str, told: str) -> None:
    import tomllib

    from gate.errors import ConfigError

    with pytest.raises(ConfigError, match=told):
        parse(
            tomllib.loads(f"{ENVIRONMENT}\n[baseline]\n{line}"), {}, name="x", file=tmp_path / "x.toml", root=tmp_path
        )


def test_a_baseline_is_a_span_or_one_value() -> None:
    assert Baseline.model_validate({"rollback": "30m"}).rollback == (1800, 1800)
    assert Baseline.model_validate({"detection": "2h - 1d"}).detection == (7200, 86_400)


def test_the_time_of_a_commit_is_what_the_history_says(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a",
        }
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "GIT_COMMITTER_DATE": "2026-11-01T02:00:00+01:00",
            **identity,
        }
        return shell.run(["git", "-C", str(tmp_path), *words], timeout=10, env=env).out.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert commits.made_at(tmp_path, commit) == "2026-11-01T02:00:00+01:00"
    assert commits.made_at(tmp_path, commit[:12]) == "2026-11-01T02:00:00+01:00"
    for unknown in (None, "", "0" * 40, "--output=x", "HEAD"):
        assert commits.made_at(tmp_path, unknown) is None
