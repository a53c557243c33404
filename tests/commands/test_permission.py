"""An emergency on a frozen day, signed for afterwards, and a rollback that no freeze holds up: whole deployments."""

from __future__ import annotations

import json

from tests.commands.little import little

WAITS = """
[approval]
roles = ["technical"]
four_eyes = false

[schedule]
freezes = [{ begins = "2020-01-01", ends = "2999-01-01", reason = "the sales" }]

[checklist]
before = { on-call = "On-call is ready" }
after = { told = "The team is told" }
"""


def test_the_whole_story() -> None:
    with little(None, "1.0.0") as here:
        here.release("1.1.0")
        file = here.root / "environments" / "local.toml"
        file.write_text(file.read_text() + WAITS)

        refused = here.deploy("1.1.0")
        assert refused.code == 3, refused.told
        assert [item["signal"] for item in refused.document["reasons"]] == ["sign-off", "freeze", "checklist"]
        assert "approve --role technical --version 1.1.0" in refused.document["next"]
        assert not (here.state / "runs" / str(refused.document["deployment"])).exists(), "not even the checks ran"
        assert here.serving() == "1.0.0"

        forced = here.deploy("1.1.0", "--emergency", "the shop is down")
        assert forced.code == 0, f"{forced.reasons}\n{forced.told}"
        number = forced.document["deployment"]
        assert f"approve --role technical --deployment {number}" in forced.document["next"]
        page = here.root / str(forced.document["report"])
        record = json.loads(page.with_name("decision.json").read_text())["permission"]
        assert (record["emergency"], record["debts"][0]["missing"]) == ("the shop is down", ["technical"])
        assert "TO BE SIGNED" in page.read_text()

        status = here.gate("status")
        assert [debt["deployment"] for debt in status.document["debts"]] == [number]
        assert "was an emergency" in status.told
        assert "The team is told (told)" in status.told

        back = here.gate("rollback")
        assert (back.code, back.document["outcome"]) == (1, "ROLLED_BACK"), back.told
        assert here.serving() == "1.0.0", "no freeze and no sign-off holds up a rollback"
