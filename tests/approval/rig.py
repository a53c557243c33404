"""A project with a release by Ines, three roles, keys for three people, a clock of one's own; nothing is deployed."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from gate import releases
from gate.commands.signing import Signing
from gate.conditions import permission
from gate.conditions.base import Question
from gate.conditions.permission import Permission
from gate.config import Environment
from gate.config.parsing import parse
from gate.deployment.run import Options, Run
from gate.deployment.view import Silent
from gate.engines.base import Engine
from gate.machine import shell
from gate.machine.interrupt import Interrupts
from gate.records import place_of
from gate.records.store import Store
from gate.redact import Redactor
from gate.releases import Release
from gate.results import Outcome
from gate.terminal.terminal import Terminal

START = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
ROLES = ("technical", "security", "business")
PEOPLE = {"alice": "technical", "bob": "security", "carol": "business"}
CASE = "def test_made_up() -> None:\n    pass\n"
TABLE: dict[str, Any] = {
    "app": {"name": "tiny", "url": "http://127.0.0.1:8080"},
    "releases": {"source": "releases"},
    "engine": {"kind": "process"},
    "services": {
        "web": {
            "command": ["serve"],
            "route": "/",
            "health": "/health",
            "identity": "/version#version",
            "env": {"KEY": "${KEY}"},
        }
    },
    "traffic": {"listen": "127.0.0.1:8080"},
    "database": {"url": "postgresql://tiny@127.0.0.1:1/tiny", "migrations": {"tool": "sql"}},
    "checks": {"folders": ["checks"]},
    "smoke": {"folders": ["smoke"]},
    "approval": {
        "roles": list(ROLES),
        "people": {name: {"roles": [role], "known_as": [f"{name}@ops"]} for name, role in PEOPLE.items()}
        | {"dora": {"known_as": ["dora@ops"]}},
    },
}


class Untouchable:
    """An engine that nobody may ask for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the engine was asked for {name}")


@dataclass
class Rig:
    """The project, and what a person would do there. ``now`` is the clock."""

    root: Path
    table: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(TABLE))
    now: datetime = START
    key: str = "a-value-of-no-account"
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> Environment:
        file = self.root / "environments" / "production.toml"
        return parse(self.table, {"KEY": self.key}, name="production", file=file, root=self.root)

    @property
    def store(self) -> Store:
        return Store(place_of(self.environment), lambda: self.now)

    def signing(self, login: str) -> Signing:
        terminal = Terminal(io.StringIO(), Redactor())
        variables = self.variables
        return Signing(self.environment, terminal, login=f"{login}@ops", variables=variables, clock=lambda: self.now)

    def approve(self, role: str, by: str, *, version: str | None = "1.1.0", **more: Any) -> dict[str, Any]:
        given: dict[str, Any] = {"version": version, "deployment": None, "key": None, "name": None} | more
        return self.signing(by).approve(role, given.pop("name"), **given)

    def approve_all(self, **more: Any) -> None:
        for name, role in PEOPLE.items():
            self.approve(role, name, **more)

    def tick(self, *items: str, by: str = "dora", act: str = "tick", version: str = "1.1.0") -> dict[str, Any]:
        return self.signing(by).checklist(act, items, None, version)

    def ask(self, *deployers: str, version: str = "1.1.0", emergency: str = "") -> Permission:
        release = releases.read(self.root / "releases" / version)
        return permission.ask(
            Question(self.environment, release, self.store, self.now, deployers or ("dora@ops",)), emergency
        )

    def why(self, *deployers: str) -> list[str]:
        """Every reason why 1.1.0 may not be deployed now."""
        return [reason.text for reason in self.ask(*deployers).reasons]

    def release(self, version: str, commit: str | None = None, **manifest: str) -> Release:
        place = self.root / "releases" / version
        (place / "migrations").mkdir(parents=True, exist_ok=True)
        for step in ("up", "down"):
            (place / "migrations" / f"0001_first.{step}.sql").write_text("SELECT 1;\n")
        (place / "app.py").write_text(f"VERSION = {version!r}\n")
        return self.manifest(version, commit=commit, **manifest)

    def manifest(self, version: str, **more: Any) -> Release:
        """Writes the manifest anew, as a build would."""
        place = self.root / "releases" / version
        files = {
            file.relative_to(place).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in place.rglob("*")
            if file.is_file() and file.name != releases.MANIFEST
        }
        made = {"version": version, "digest": releases.digest_of(files), "files": files, **more}
        (place / releases.MANIFEST).write_text(json.dumps(made))
        return releases.read(place)

    def deployed(
        self, outcome: Outcome | None, minutes: float = 10, *, action: str = "deploy", version: str = "1.1.0"
    ) -> int:
        """A deployment on record that took so long, and ended now."""
        ended, store = self.now, self.store
        self.now = ended - timedelta(minutes=minutes)
        release = releases.read(self.root / "releases" / version)
        number = store.begin(
            action=action,
            version=version,
            digest=release.digest,
            commit=release.commit,
            folder=str(release.folder),
            stable_version=None,
            stable_instance=None,
            by="dora@ops",
        )
        self.now = ended
        if outcome is not None:
            store.end(number, outcome, [], cases=1, checks=1, report=None)
        return number

    def run(self, *, emergency: str = "", action: str = "deploy") -> Run:
        """A run of the pipeline on 1.1.0 whose engine nobody may touch."""
        number = self.deployed(None, 0, action=action)
        return Run(
            environment=self.environment,
            engine=cast(Engine, Untouchable()),
            store=self.store,
            view=Silent(),
            interrupts=Interrupts(lambda: None),
            release=releases.read(self.root / "releases" / "1.1.0"),
            stable=None,
            deployment=number,
            action=action,
            by="dora@ops",
            folder=self.root / "run",
            reports=self.root / "reports",
            options=replace(Options(), emergency=emergency),
            clock=lambda: self.now,
        )


def make(root: Path, commit: str | None) -> Rig:
    """The project below ``root``, its release made from ``commit``."""
    for folder in ("checks", "smoke"):
        (root / folder).mkdir(parents=True)
        (root / folder / "test_made_up.py").write_text(CASE)
    made = Rig(root)
    made.release("1.1.0", commit)
    return made


def commit_by_ines(root: Path) -> str:
    """A git repository with one commit of hers, written together with Otto; returns its hash."""
    who = ["-c", "user.name=Ines Okafor", "-c", "user.email=ines@shop.example", "-c", "commit.gpgsign=false"]
    message = "A note on the receipt\n\nCo-authored-by: Otto Lind <otto@shop.example>"
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", message]):
        shell.run(["git", "-C", str(root), *words], timeout=30)
    return shell.run(["git", "-C", str(root), "rev-parse", "HEAD"], timeout=30).out.strip()


def keys(folder: Path, *names: str) -> dict[str, Path]:
    """An SSH key of each name's own, without a passphrase."""
    made = {}
    for name in names:
        made[name] = folder / name
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(made[name])]
        shell.run(argv, timeout=30)
    return made
