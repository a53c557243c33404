"""A whole project of its own for the end-to-end tests: the repository's files in a short folder, on free ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import preloaded

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("checks", "smoke", "fixtures", "gate", "example", "environments", ".github")
FEW_CHECKS = '["checks/test_deployment_scripts.py", "checks/test_core_flows.py"]'
CHECKS_OF_DEFECTS = '["checks/test_deployment_scripts.py", "checks/test_core_flows.py", "checks/test_migrations.py"]'
FEW_SMOKE = '["smoke/test_alive.py", "smoke/test_identity.py", "smoke/test_invariants.py"]'
COPIED_FILES = ("conftest.py", "pytest.ini", "deploy_gate.py", "requirements.lock")


@dataclass(frozen=True)
class Ran:
    """A finished run of the gate: exit code, the JSON document, what it told on the way."""

    code: int
    document: dict[str, Any]
    told: str

    @property
    def reasons(self) -> str:
        return "\n".join(str(reason["text"]) for reason in self.document["reasons"])


@dataclass
class Site:
    """A project folder and the commands a person would type in it."""

    root: Path
    url: str
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    own_interpreter: bool = False
    """Whether each command is started as a user starts it, and reads its modules itself."""

    def gate(self, *words: str, name: str = "local", timeout: float = 180) -> Ran:
        """``python deploy_gate.py NAME WORDS… --json``."""
        argv, env = self.argv(*words, name=name), self.environment
        if self.own_interpreter:
            ended = subprocess.run(
                argv, cwd=self.root, env=env, timeout=timeout, capture_output=True, text=True, check=False
            )
        else:
            ended = preloaded.run(argv[1:], cwd=self.root, env=env, timeout=timeout)
        return self.read(ended.returncode, ended.stdout, ended.stderr)

    def argv(self, *words: str, name: str = "local") -> list[str]:
        return [sys.executable, "deploy_gate.py", name, *words, "--json"]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The same without waiting for its end."""
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def read(code: int, out: str, err: str) -> Ran:
        try:
            document = json.loads(out)
        except ValueError:
            document = {"reasons": [], "unreadable": out}
        return Ran(code, document, err)

    def deploy(self, version: str, *words: str) -> Ran:
        return self.gate("--version", version, "--again", "a test of the gate", *words)

    @property
    def state(self) -> Path:
        return self.root / ".gate" / "local"

    @property
    def database(self) -> str:
        """The database's URL with its password."""
        from gate.environments import load

        loaded = load("local", self.root).database
        assert loaded is not None
        return loaded.url.reveal()

    def serving(self) -> str | None:
        """The version that answers at the front door, by its own word."""
        import httpx

        try:
            answer = httpx.get(f"{self.url}/version", timeout=8, trust_env=False)
        except httpx.HTTPError:
            return None
        return str(answer.json()["version"]) if answer.status_code == 200 else None

    def put_in_order(self) -> None:
        """Ends what a failed test left behind: servers that are down, an interrupted or a held deployment."""
        self.gate("up")
        self.gate("recover")
        if self.gate("status").document.get("held"):
            self.gate("rollback")

    def traces(self) -> dict[str, Any]:
        """What must be as before after a refused or undone run: who serves, what runs, the schema's head."""
        import psycopg

        status = self.gate("status").document
        with psycopg.connect(self.database, connect_timeout=5) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return {
            "serving": self.serving(),
            "instances": [item["id"] for item in status["instances"]],
            "lock": status["lock"],
            "schema": row[0] if row else None,
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_site(folder: Path, *, steps: str = "[]") -> Site:
    """The repository's files below ``folder``, its local environment on free ports and with these traffic ``steps``."""
    for name in COPIED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in COPIED_FILES:
        shutil.copy2(REPOSITORY / name, folder / name)
    file = folder / "environments" / "local.toml"
    text = file.read_text()
    ports = {"18080": free_port(), "15432": free_port(), "16379": free_port()}
    for fixed, free in ports.items():
        assert fixed in text, f"environments/local.toml does not use port {fixed} any more"
        text = text.replace(fixed, str(free))
    text, found = re.subn(r"(?m)^steps = .*$", f"steps = {steps}", text)
    assert found == 1, "environments/local.toml has no [traffic] steps any more"
    # What ignores SIGTERM, and what never becomes healthy, is waited for that long, again and again.
    for key, seconds, few in (("stop_grace", 30, 6), ("start_timeout", 20, 10)):
        assert f'{key} = "{seconds}s"' in text, f"environments/local.toml has no {key} any more"
        text = text.replace(f'{key} = "{seconds}s"', f'{key} = "{few}s"')
    file.write_text(text)
    return Site(folder, f"http://127.0.0.1:{ports['18080']}")


def few_cases(site: Site) -> None:
    """Leaves only cases enough to deploy by; what the others find is tested elsewhere."""
    folders(site, '["checks"]', FEW_CHECKS)
    folders(site, '["smoke"]', FEW_SMOKE)


def folders(site: Site, before: str, wanted: str) -> None:
    """Has one of the suites collected from elsewhere than ``before``."""
    file = site.root / "environments" / "local.toml"
    text = file.read_text()
    assert f"folders = {before}" in text, f"local.toml does not say folders = {before}"
    file.write_text(text.replace(f"folders = {before}", f"folders = {wanted}"))
