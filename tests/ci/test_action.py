"""The composite action: its step is run as a runner would run it, on the tiny site and on gates that end in any way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from gate.machine.shell import wait_until
from tests.ci.runner import Runner
from tests.commands.little import little


def test_a_release_and_a_refusal_of_the_tiny_site() -> None:
    with little(None) as project:
        project.release("1.0.0")
        runner = Runner(project.root)
        good = runner.gate({})
        assert (good.code, good.outputs["outcome"], good.outputs["exit-code"]) == (0, "RELEASED", "0"), good.log
        assert good.outputs["report"] == "reports/local/1/report.html"
        assert (project.root / good.outputs["report"]).is_file()
        assert good.outputs["deployment"] == "1"
        assert "Released" in good.summary  # the gate's own
        assert "<h3>" not in good.summary
        assert "::error" not in good.log
        bad = runner.gate({"version": "9.9.9"})
        assert bad.code != 0
        assert (bad.outputs["exit-code"], bad.outputs["report"]) == (str(bad.code), "")
        assert "9.9.9" in bad.summary
        assert bad.log.count("::error title=local") == 1


@pytest.mark.parametrize(("code", "outcome"), [(0, "RELEASED"), (1, "ROLLED_BACK"), (3, "REFUSED"), (6, "HELD")])
def test_the_step_ends_as_the_gate_did(runner: Runner, code: int, outcome: str) -> None:
    report = runner.workspace / "reports" / "local" / "7" / "report.html"
    report.parent.mkdir(parents=True)
    report.touch()
    runner.answering(code, outcome=outcome, deployment=7, report="reports/local/7/report.html")
    ended = runner.gate({})
    told = {"outcome": outcome, "exit-code": str(code), "deployment": "7", "report": "reports/local/7/report.html"}
    assert (ended.code, ended.outputs) == (code, told)


@pytest.mark.parametrize(
    "does",
    [
        "",
        "print('RELEASED')",
        "print('[]')",
        "print('{\"exit_code\": 0}')",
        'print(\'{"outcome": "RELEASED", "exit_code": 0, "reasons": []}\'); sys.exit(1)',
        'print(\'{"outcome": "RELEASED", "exit_code": 0, "reasons": ["x"]}\')',
        'print(\'{"outcome": "RELEASED", "exit_code": 0, "reasons": [], "stable": "x"}\')',
        "print('[' * 100000)",
        "os.kill(os.getpid(), 9)",
    ],
    ids=[
        "nothing",
        "no JSON",
        "no object",
        "half an answer",
        "another exit code",
        "reasons that are none",
        "a release that is none",
        "too deep",
        "killed",
    ],
)
def test_what_the_gate_did_not_say_is_never_green(runner: Runner, does: str) -> None:
    runner.project(does)
    ended = runner.gate({})
    assert (ended.code, ended.outputs["outcome"], ended.outputs["exit-code"]) == (4, "UNKNOWN", "4")
    assert "deploy_gate.py local status" in ended.summary


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"version": ""}, "version"),
        ({"version": "--dry-run"}, "version"),
        ({"environment": "-x"}, "environment"),
        ({"arguments": "--again 'never closed"}, "arguments"),
        ({"folder": "elsewhere"}, "folder"),
    ],
)
def test_a_wrong_input_is_named_before_anything_starts(runner: Runner, inputs: dict[str, str], named: str) -> None:
    runner.project("open('started', 'w')")
    ended = runner.gate(inputs)
    assert (ended.code, ended.outputs["exit-code"]) == (2, "2")
    assert f"input {named}" in ended.log
    assert not (runner.workspace / "started").exists()


def test_arguments_are_words_and_never_a_shell(runner: Runner) -> None:
    runner.project("import json; json.dump(words, open('words', 'w'))")
    runner.gate({"version": "1.0.0; touch harm", "arguments": "--again 'mended; $(touch harm)' --allow-downgrade"})
    words = json.loads((runner.workspace / "words").read_text())
    assert words[1:3] == ["--version", "1.0.0; touch harm"]
    assert words[-3:] == ["--again", "mended; $(touch harm)", "--allow-downgrade"]
    assert not (runner.workspace / "harm").exists()


def test_texts_of_others_stay_texts(runner: Runner) -> None:
    nasty = "</table><script>alert(1)</script>\n\n# title\n::error::mine\noutcome=RELEASED"
    runner.answering(3, outcome="REFUSED\noutcome<<x\nRELEASED\nx", reasons=[{"text": nasty}] * 12, next=nasty)
    ended = runner.gate({})
    assert ended.outputs["outcome"].startswith("REFUSED outcome<<x")
    assert "<script" not in ended.summary
    assert "\n\n" not in ended.summary.strip()  # an empty line would end the table, and Markdown begin
    assert "and 2 more" in ended.summary
    assert not [line for line in ended.log.splitlines() if line.startswith("::")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_hands_the_signal_on_and_waits(runner: Runner, number: int) -> None:
    answer = {"outcome": "INTERRUPTED", "exit_code": 130, "reasons": [{"text": "undone"}]}
    runner.project(f"""
import json, signal
def undo(number, frame):
    print(json.dumps({answer!r})); sys.stdout.flush(); os._exit(130)
signal.signal({int(number)}, undo)
open("ready", "w").close()
signal.pause()
""")
    argv, variables = runner.step({"environment": "local", "version": "1.0.0"})
    environment = runner.environment(**variables)
    with subprocess.Popen(argv, cwd=runner.workspace, env=environment, stderr=subprocess.DEVNULL) as step:
        try:
            assert wait_until((runner.workspace / "ready").exists, timeout=20)
            os.kill(step.pid, number)
            assert step.wait(timeout=20) == 130
        finally:
            step.kill()
    assert "INTERRUPTED" in (runner.workspace / "output").read_text()


def test_without_a_runner_nothing_is_a_command(runner: Runner) -> None:
    runner.answering(3, outcome="REFUSED", reasons=[{"text": "no way"}])
    ended = runner.gate({}, GITHUB_ACTIONS="", GITHUB_OUTPUT="", GITHUB_STEP_SUMMARY="")
    assert ended.code == 3
    assert "::" not in ended.log
    assert "error: local: REFUSED: no way" in ended.log
    assert not Path(runner.workspace / "output").read_text()
