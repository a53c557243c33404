"""What a deployment leaves: sealed evidence, published where it can be, told where it cannot; none of it decides."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.commands.reporting import Reporting
from gate.errors import OperationFailed, Refused, UsageError
from gate.terminal.terminal import Terminal
from tests.commands.little import Little, little

PUBLISH = """
[publish]
folder = "published"
timeout = "1s"

[publish.github]
repository = "acme/tiny"
token = "${GITHUB_TOKEN}"
api = "http://127.0.0.1:9"
"""
TOKEN = "hub-token-of-good-length"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Little]:
    """A project whose evidence goes to a folder, and to a hub where nobody listens."""
    with little() as made:
        made.release("1.0.0")
        file = made.root / "environments" / "local.toml"
        file.write_text(file.read_text(encoding="utf-8") + PUBLISH, encoding="utf-8")
        summary = str(made.root / "summary.md")
        made.environment |= {"GITHUB_TOKEN": TOKEN, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary}
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        yield made


def test_evidence_is_sealed_and_published_and_what_fails_changes_nothing(site: Little, tmp_path: Path) -> None:
    ran = site.deploy("1.0.0")
    assert ran.code == 0, ran.told
    notes = "\n".join(ran.document["notes"])
    assert "published to folder: " in notes
    assert "not published to github: acme/tiny: release v1.0.0: no answer" in notes
    assert "report publish 1 --to github" in notes
    assert TOKEN not in ran.told + notes

    summary = (site.root / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## 🟢 Released: 1&#46;0&#46;0 on local")

    assert ran.document["gaps"]["new"] == []
    index = (site.root / "reports/local/index.html").read_text(encoding="utf-8")
    assert '<a href="1/report.html">1</a>' in index

    told = site.gate("report", "verify", "1")
    assert (told.code, told.document["proven"]) == (0, True)
    reporting = Reporting(site.loaded, Terminal(io.StringIO(), site.loaded.redactor))
    published = str(site.root / "published" / "local-1.zip")
    assert reporting.verify(published, None)["manifest"] == told.document["manifest"]
    assert told.document["manifest"] in summary

    reporting.publish(1, ["./elsewhere"])
    assert sorted(file.name for file in (site.root / "elsewhere").iterdir()) == ["local-1.html", "local-1.zip"]
    with pytest.raises(OperationFailed, match="not published to github"):
        reporting.publish(1, [])
    with pytest.raises(UsageError, match="it has: folder, github"):
        reporting.publish(1, ["s3"])

    report = site.root / "reports/local/1/report.html"
    shutil.copytree(report.parent, tmp_path / "copy")
    report.write_text(report.read_text(encoding="utf-8").replace("Released", "released"), encoding="utf-8")
    with pytest.raises(Refused, match=r"report\.html: changed"):
        reporting.verify("1", None)
    with pytest.raises(Refused, match=r"report\.html: changed"):
        reporting.publish(1, ["./elsewhere"])
    assert reporting.verify(str(tmp_path / "copy"), None)["proven"]
    with pytest.raises(UsageError, match="no report of deployment 9"):
        reporting.verify("9", None)
