"""The report can be made again from its decision record alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate.redact import Redactor
from gate.report import document
from gate.report.__main__ import main
from tests.report import samples
from tests.report.page import html_of


def test_the_same_page_is_made_from_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "decision.json"
    document.write(document.to_json(samples.rolled_back(), Redactor()), file)
    assert main([str(file)]) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html_of(samples.rolled_back())
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")


@pytest.mark.parametrize("content", [None, "{}"], ids=["missing", "no record"])
def test_what_is_no_record_is_said(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "decision.json"
    if content is not None:
        file.write_text(content)
    assert main([str(file)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "report.html").exists()


def test_wrong_use_says_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "python -m gate.report" in capsys.readouterr().err
