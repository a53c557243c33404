"""docs/walkthrough.md, as it is typed: every command, exit code and line, with the time passing that it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from gate import releases
from gate.approval import logins
from gate.environments import load
from tests.commands.little import CASE, ENVIRONMENT, HOUSE
from tests.e2e.sites import Site
from tests.engine import site as engine_site

PAGE = HOUSE / "docs" / "walkthrough.md"
QUIET = '[[rules]]\nsignal = "disk"\ngo = "<= 100%"\n'  # the disk of whoever runs this is none of the story's
TIMES = {"deployments": ("started_at", "ended_at"), "monitor_ticks": ("at",), "events": ("at",)}

EAR = """
import os, pwd, sys
known = pwd.getpwuid
def account(number):
    return pwd.struct_passwd((os.environ.get("ACCOUNT", known(number)[0]), *known(number)[1:]))
pwd.getpwuid = account
def hear(event, arguments):
    if event == "socket.bind":
        with open(os.environ["HEARD"], "a") as file:
            file.write(f"{sys.argv}: {arguments[1]!r}\\n")
sys.addaudithook(hear)
"""  # what Python reads before anything else, in every process of the gate: it writes down each socket that is
# bound; and whoever acts has an account of their own, as on a machine that several share.


class Story:
    """The project, and a clock that goes on when everything on record gets older."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.heard = root / "heard"
        (root / "ear").mkdir()
        (root / "ear" / "sitecustomize.py").write_text(EAR)
        self.environment = {**os.environ, "PYTHONPATH": f"{HOUSE}{os.pathsep}{root / 'ear'}", "COLUMNS": "200"}
        self.environment["HEARD"] = str(self.heard)
        for name in logins.SAID:  # who started the job that runs this test is nobody of the story
            self.environment.pop(name, None)
        self.last = {"staging": 0, "production": 0}
        self.url = {name: f"http://127.0.0.1:{engine_site.free_port()}" for name in self.last}

    def file(self, name: str) -> Path:
        return self.root / "environments" / f"{name}.toml"

    def run(self, words: list[str]) -> tuple[int, str]:
        """A command as the page has it; LAST is the number of the last deployment there."""
        name = words[2]
        argv = [sys.executable, *(str(self.last[name]) if word == "LAST" else word for word in words[1:])]
        login = words[words.index("--as") + 1] if "--as" in words else "ci"
        ended = subprocess.run(
            argv,
            cwd=self.root,
            env={**self.environment, "ACCOUNT": login},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        with closing(sqlite3.connect(self.root / ".gate" / name / "gate.db")) as records:
            (self.last[name],) = records.execute(
                "SELECT coalesce(max(id), 0) FROM deployments WHERE action = 'deploy' AND outcome = 'RELEASED'"
            ).fetchone()
        return ended.returncode, " ".join(f"{ended.stdout}\n{ended.stderr}".split())

    def listening(self) -> set[str]:
        """The addresses of the network at which any process of this project listens."""
        found = set()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if any(str(self.root) in word for word in process.cmdline()):
                    found |= {
                        f"{item.laddr.ip}:{item.laddr.port}"
                        for item in process.net_connections("inet")
                        if item.status == psutil.CONN_LISTEN
                    }
        return found

    def later(self, minutes: float) -> None:
        for name in self.last:
            with closing(sqlite3.connect(self.root / ".gate" / name / "gate.db")) as records:
                for table, columns in TIMES.items():
                    for column in columns:
                        for key, at in records.execute(f"SELECT rowid, {column} FROM {table}").fetchall():  # noqa: S608
                            if at:
                                earlier = (datetime.fromisoformat(at) - timedelta(minutes=minutes)).isoformat()
                                records.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (earlier, key))  # noqa: S608
                records.commit()

    def open_window(self, *, begins_in: float) -> None:
        """The window of the page's file, two hours long, moved to ``begins_in`` hours from now."""
        begins = datetime.now(UTC) + timedelta(hours=begins_in)
        wanted = f'windows = ["{begins:%H:%M}-{begins + timedelta(hours=2):%H:%M}"]'
        file = self.file("production")
        file.write_text(re.sub(r"windows = .*", wanted, file.read_text()))


@pytest.fixture
def story() -> Iterator[Story]:
    """Both environments serve 1.0.0, and 1.1.0, which dora wrote, can be deployed."""
    with engine_site.folder() as root:
        made = Story(root)
        for name in ("pytest.ini", "conftest.py", "deploy_gate.py"):
            shutil.copy(HOUSE / name, root / name)
        (root / "fixtures").symlink_to(HOUSE / "fixtures")
        for folder in ("checks", "smoke", "environments"):
            (root / folder).mkdir()
        for folder in ("checks", "smoke"):
            (root / folder / "test_made_up.py").write_text(CASE)
        (described,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.S)
        tables = dict(
            zip(("staging", "production"), re.split(r"# environments/\w+\.toml\n", described)[1:], strict=True)
        )
        for name, url in made.url.items():
            made.file(name).write_text(ENVIRONMENT.format(port=url.rpartition(":")[2]) + QUIET)
        for version in ("1.0.0", "1.1.0"):
            release = engine_site.Site(load("staging", root)).release(version, f"none in {version}")
            manifest = release.folder / releases.MANIFEST
            manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"author": "dora"}))
        try:
            for name, url in made.url.items():
                site = Site(root, url, made.environment)
                assert site.gate("up", name=name).code == 0
                ran = site.gate("--version", "1.0.0", name=name)
                assert ran.code == 0, f"{ran.reasons}\n{ran.told}"
                made.file(name).write_text(made.file(name).read_text() + tables[name])
            yield made
        finally:
            for name, url in made.url.items():
                Site(root, url, made.environment).gate("down", name=name)


def test_the_page_as_it_is_typed(story: Story) -> None:
    ran = 0
    story.open_window(begins_in=3)
    for section in PAGE.read_text().split("\n## ")[1:]:
        passed = re.match(r"(\d+) (minutes|hours)", section)
        if passed is not None:
            hours = float(passed[1]) / (60 if passed[2] == "minutes" else 1)
            story.later(60 * hours + 1)
            if "within the window" in section:
                story.open_window(begins_in=-0.5)
        for block in re.findall(r"```console\n(.*?)```", section, re.S):
            for typed in block.split("$ ")[1:]:
                command, *expected = typed.strip().splitlines()
                words, _, comment = command.partition("#")
                code, said = story.run(shlex.split(words))
                wanted = int(comment.replace("exit", "")) if comment else 0
                assert code == wanted, f"{command}\n{said}"
                for line in expected:
                    assert " ".join(line.split()) in said, f"{command}\n{line}\nis not in\n{said}"
                ran += 1
    assert ran == PAGE.read_text().count("\n$ ")
    nobody_listens(story)
    assert len(list((story.root / "published").glob("production-*.zip"))) > 1, "refusals are published as well"


def nobody_listens(story: Story) -> None:
    """Deploying, approving, publishing, monitoring opened nothing: only the proxy has a front door."""
    assert not story.heard.exists(), story.heard.read_text()
    control = "import socket; socket.socket().bind(('127.0.0.1', 0))"
    subprocess.run([sys.executable, "-c", control], env=story.environment, check=True, timeout=60)
    assert "('127.0.0.1', 0)" in story.heard.read_text(), "the ear is deaf, so it proves nothing"
    assert story.listening() == {url.removeprefix("http://") for url in story.url.values()}
