"""What a run shows where there is no terminal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from gate.redact import Redactor
from gate.results import Case, CaseOutcome, Severity
from gate.terminal.terminal import Terminal


def test_a_table_in_a_pipe_is_whole() -> None:
    stream, table = io.StringIO(), Table(box=None, pad_edge=False)
    cells = ["2", "rollback", "1.1.0+a-defect-with-a-long-name", "reports/local/2/report.html " * 4]
    for name in ("id", "action", "to", "report"):
        table.add_column(name)
    table.add_row(*cells)
    Terminal(stream, Redactor()).table(table)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(cell.strip() in lines[1] for cell in cells)
    assert len(lines[1]) < 200


@pytest.mark.parametrize("said", ["xK9-tiger\x07-mill-77", "xK9-\x1btiger-mill-77", "xK9-tiger-mi\x9bll-77"])
def test_no_control_character_hides_a_secret(said: str) -> None:
    stream = io.StringIO()
    Terminal(stream, Redactor(["xK9-tiger-mill-77"])).note(said)
    assert "tiger" not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


@pytest.mark.parametrize("hidden", ["\x07::error title=x::y", "\x1b[2J::error::y", "##\x07[error]y", "\x9b::error::y"])
def test_what_others_say_moves_no_cursor_and_commands_no_runner(hidden: str) -> None:
    stream = io.StringIO()
    terminal, table = Terminal(stream, Redactor()), Table("what")
    table.add_row(hidden)
    terminal.header(hidden)
    terminal.case(Case("x", "x", Severity.HIGH, CaseOutcome.FAILED, 1.0, hidden, hidden))
    terminal.done(hidden, hidden, 1.0)
    terminal.failed(hidden, [hidden, hidden], 1.0)
    terminal.note(hidden)
    terminal.table(table)
    told = stream.getvalue()
    assert told.count("y") >= 8
    assert not [character for character in told if not character.isprintable() and character != "\n"]
    assert not re.search(r"^\s*::|##\[", told, re.M)


def test_half_a_character_loses_neither_its_line_nor_what_comes_after() -> None:
    """As a program leaves it that takes bytes of another encoding for a text: everything from there on was lost."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    terminal = Terminal(stream, Redactor())
    for line in ("no file caf\udce9.txt", "rolled back"):
        terminal.say(line)
    stream.seek(0)
    assert stream.read() == "no file caf\\udce9.txt\nrolled back\n"


def test_an_answer_for_machines_comes_whatever_the_encoding() -> None:
    """Without one a CI takes the outcome for unknown, and calls people."""
    ended = subprocess.run(
        [sys.executable, "deploy_gate.py", b"caf\xe9\xc3\xa9", "status", "--json"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    answer = json.loads(ended.stdout)
    assert (ended.returncode, answer["exit_code"], answer["environment"]) == (2, 2, "caf\udce9é")
    assert "caf" in answer["reasons"][0]["text"]
    assert b"error: no environment" in ended.stderr
