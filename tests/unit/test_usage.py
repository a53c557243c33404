"""Wrong use of the command line: the next step is a command for the environment that was named."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.cli import main


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("staging replay", "staging replay --help"),
        ("staging plan --nonsense --version 1", "staging plan --help"),
        ("staging --nonsense", "--help"),
        ("staging dance", "--help"),
        ("staging plan", "staging releases   lists them"),
        ("staging plan --version one", "staging releases   lists them"),
        ("staging rollback --to one", "staging releases   lists them"),
    ],
)
def test_next_steps(
    words: str,
    step: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "staging.toml").write_text(ENVIRONMENT)
    for name in ("checks", "smoke"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["deploy_gate.py"])
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert told.splitlines()[-1] == f"  next  python deploy_gate.py {step}", told
    assert "ENV" not in told


ENVIRONMENT = """
app = { name = "made-up", url = "http://127.0.0.1:1" }
releases = { source = "releases" }
engine = { kind = "process" }
traffic = { listen = "127.0.0.1:18999" }
checks = { folders = ["checks"] }
smoke = { folders = ["smoke"] }
services.web = { command = ["true"], route = "/", health = "/health", identity = "/version#version" }
"""
