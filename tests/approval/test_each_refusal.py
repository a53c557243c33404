"""One release on its way to production, and each way it is refused: one after the other, with the time passing."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from gate.approval import attempts
from gate.deployment import pipeline
from gate.errors import Refused
from gate.monitoring import ticks
from gate.monitoring.phases import Tick
from gate.records.sqlite import SqliteFile
from gate.records.store import Store
from gate.results import Decision, Outcome
from tests.approval.rig import PEOPLE, START, Rig, keys

STAGING = """
app = { name = "tiny", url = "http://127.0.0.1:1" }
state = { folder = ".gate" }
monitoring = { phases = ["1h for 48h"] }
"""
CODE = "VERSION = '1.1.0'\n"
ALL = "sign-off sign-off sign-off"


def build(rig: Rig, code: str) -> str:
    """Makes 1.1.0 anew, as Ines wrote it; returns its digest."""
    (rig.root / "releases" / "1.1.0" / "app.py").write_text(code)
    return rig.manifest("1.1.0", author="Ines <ines@shop.example>").digest


class Staging:
    """Where the release has served since eleven hours before the story begins."""

    def __init__(self, rig: Rig) -> None:
        file = rig.root / "environments" / "staging.toml"
        file.parent.mkdir()
        file.write_text(STAGING)
        self.began = START - timedelta(hours=11)
        self.looked = 0
        self.store = Store(SqliteFile(rig.root / ".gate" / "staging" / "gate.db"), lambda: self.began)
        digest = build(rig, CODE)
        self.number = self.store.begin(
            action="deploy", version="1.1.0", digest=digest, commit=None, folder="x", by="dora@ops",
            stable_version=None, stable_instance=None,
        )  # fmt: skip
        for kind in ("do", "done"):
            self.store.write(self.number, "accept", kind, {})
        self.store.end(self.number, Outcome.RELEASED, [], cases=1, checks=1, report=None)

    def look(self, until: datetime, decision: Decision = Decision.GO) -> None:
        """Every tick that was due by then."""
        while self.looked < 48 and self.began + timedelta(hours=self.looked + 1) <= until:
            at = self.began + timedelta(hours=self.looked + 1, seconds=30)
            self._tick(self.looked, at, Decision.GO)
            self.looked += 1
        if decision is not Decision.GO:
            self._tick(self.looked - 1, until, decision)

    def _tick(self, slot: int, at: datetime, decision: Decision) -> None:
        told = Tick(self.number, slot, at, 1.0, decision, ("checkout failed",), acted="alerted")
        ticks.add(self.store, told)


def refused(rig: Rig, signals: str, *texts: str) -> None:
    """A deployment ends with exit code 3, for these reasons and no other, and the engine was asked for nothing."""
    run = rig.run()
    outcome = pipeline.deploy(run)
    told = "\n".join(reason.text for reason in run.evidence.reasons)
    assert (outcome, outcome.exit_code) == (Outcome.REFUSED, 3), told
    assert " ".join(reason.signal for reason in run.evidence.reasons) == signals, told
    for text in texts:
        assert text in told
    assert not [event for event in rig.store.events(run.deployment) if event.kind != attempts.LISTED]
    assert not run.folder.exists(), "not even the checks ran"


@pytest.fixture
def held(rig: Rig, tmp_path: Path) -> dict[str, Path]:
    """Everybody's key, in a project that waits for all there is; Mallory's is allowed nothing."""
    made = keys(tmp_path, *PEOPLE, "ines", "mallory")
    lines = [f"{name} {key.with_suffix('.pub').read_text()}" for name, key in made.items() if name != "mallory"]
    (rig.root / "allowed_signers").write_text("".join(lines))
    rig.table["approval"]["allowed_signers"] = "allowed_signers"
    rig.table["approval"]["people"]["ines"] = {"roles": ["security"], "known_as": ["ines@shop.example"]}
    rig.table["checklist"] = {"before": {"on-call": "On-call is ready"}}
    rig.table["schedule"] = {
        "windows": ["02:00-04:00"],
        "zone": "Europe/Berlin",
        "freezes": [{"begins": "2026-11-26", "ends": "2026-11-26", "reason": "the sales"}],
        "soak": {"environment": "staging", "hours": 12},
    }
    return made


def test_each_way_it_is_refused(rig: Rig, held: dict[str, Path]) -> None:
    staging = Staging(rig)

    def sign(name: str) -> None:
        rig.approve(PEOPLE[name], "ci", name=name, key=held[name])

    def later(**time: float) -> None:
        rig.now += timedelta(**time)
        staging.look(rig.now)

    # The first night, half past two in Berlin: too early in every way but one.
    staging.look(rig.now)
    refused(rig, f"{ALL} soak checklist", "technical: missing", "it served 11.0 h on staging", "On-call is ready")
    # The author may not sign for it, and nobody with somebody else's name.
    with pytest.raises(Refused, match=r"ines is an author of the release's commit \(four eyes\)"):
        rig.approve("security", "ci", name="ines", key=held["ines"])
    with pytest.raises(Refused, match="none that carol may give for business"):
        rig.approve("business", "ci", name="carol", key=held["mallory"])
    rig.tick("on-call")
    sign("alice")
    sign("bob")
    refused(rig, "sign-off soak", "sign-off business: missing")
    sign("carol")
    refused(rig, "soak", "it served 11.0 h on staging", "12 h are wanted: long enough at 2026-11-24 02:30 UTC")

    # The second night nothing speaks against it, until something does.
    later(hours=24)
    assert rig.why() == []
    rig.tick("on-call", act="untick")
    refused(rig, "checklist", "On-call is ready")
    rig.tick("on-call")
    taken = "SELECT signature FROM signoffs WHERE role = 'technical'"
    forged = f"UPDATE signoffs SET signature = ({taken}) WHERE role = 'business'"  # noqa: S608 - no text of others
    rig.store.execute(sa.text(forged))
    refused(rig, "sign-off", "sign-off business: carol", "the signature is none that carol may give for business")
    sign("carol")
    assert rig.why() == []
    later(hours=2)
    refused(rig, "window", "lies outside of the window 02:00-04:00 Europe/Berlin")

    # The third night is frozen.
    later(hours=22)
    refused(rig, "freeze", "the sales")

    # A month later nobody's word is good any more, nor what was ticked.
    later(days=29)
    refused(rig, f"{ALL} checklist", "alice, 2026-11-24 01:30 UTC: expired", "carol, 2026-11-25 01:30 UTC: expired")
    rig.tick("on-call")
    for name in PEOPLE:
        sign(name)
    assert rig.why() == []

    # Built anew, it is another release: what was signed, ticked and soaked was not this one.
    build(rig, "VERSION = 'another'\n")
    refused(rig, f"{ALL} soak checklist", "the artifact has changed since it was signed", "never released on staging")
    build(rig, CODE)
    assert rig.why() == []

    # Staging turned red since.
    staging.look(rig.now, Decision.ROLLBACK)
    refused(rig, "soak", "its monitoring on staging did not stay green: red at", "checkout failed")
