"""Two hundred planted secrets through whole deployments: nothing that leaves the gate holds one of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.little import Little, little
from tests.notify import listeners
from tests.redaction import planted

SECRETS = planted.secrets()
LOGS = re.compile(r".*\.log(\.\d+)?|requests.*|.*\.sock|secrets\.json|lock")
"""What services and the proxy wrote themselves stays as it was, readable by its owner only (docs/redaction.md)."""

LEAKS = """
import base64, html, json, logging, os, sys, warnings
from urllib.parse import quote
import httpx
import pytest
pytestmark = [pytest.mark.category("Core Business Flows"), pytest.mark.minor]

@pytest.fixture
def all_of_them(environment):
    return [environment.options[f"key{number}"].reveal() for number in range(200)]

def test_asked_for(environment, all_of_them, measure, record_property, warn):
    with httpx.Client(base_url=environment.app.url, timeout=5) as client:
        for key in all_of_them[::10]:
            client.get("/" + quote(key, safe=""), headers={"Cookie": "sid=" + quote(key)})
    measure("disk", 0.1, detail=all_of_them[5])
    record_property("key", all_of_them[6])
    warn(f"seen {all_of_them[7]}")
    print(dict(os.environ))

def test_printed(all_of_them):
    for key in all_of_them:
        print(key); print(repr(key), json.dumps(key), quote(key, safe=""), html.escape(key), file=sys.stderr)
        print(base64.b64encode(key.encode()).decode(), base64.b64encode(b"user:" + key.encode()).decode())
        logging.getLogger("shop").warning("the key is %s, or %r", key, key)
        warnings.warn(f"old key {key}")

def test_failed_with_locals(all_of_them):
    a, b, c, *rest = all_of_them
    raise OSError("\\n".join(rest))

@pytest.mark.parametrize("number", [0, 100])
def test_said(all_of_them, number):
    keys = all_of_them[number : number + 100]
    held = {"headers": {"X-Key": keys[0], "Authorization": f"Bearer {keys[1]}"}, "all": keys}
    try:
        raise ValueError(f"https://shop:{quote(keys[2], safe='')}@shop.example/?token={quote(keys[3])}")
    except ValueError as fault:
        assert held == {}, f"keys {keys} {fault}"
"""


def environment(site: Little, targets: str) -> None:
    """Names every secret in the environment file, and hands all of them over as variables."""
    file = site.root / "environments" / "local.toml"
    names = [f"PLANTED_{number}" for number in range(planted.MANY)]
    options = "".join(f'key{number} = "${{{name}}}"\n' for number, name in enumerate(names))
    file.write_text(f"{file.read_text()}\n[options]\n{options}\n{targets}", encoding="utf-8")
    site.environment.update(zip(names, SECRETS, strict=True))


@pytest.fixture(scope="module")
def site() -> Iterator[Little]:
    with little(None, "1.0.0") as made:
        yield made


def held(content: str) -> list[str]:
    return [trace for value in SECRETS for trace in planted.traces(value) if trace in content]


def opened(file: Path) -> str:
    """A file as text; what is in it as base64 as well, as a page holds pictures and texts."""
    text = file.read_bytes().decode("utf-8", "replace")
    inner = [
        base64.b64decode(found + "=" * (-len(found) % 4)) for found in re.findall(r"base64,([A-Za-z0-9+/]+)", text)
    ]
    return text + "".join(content.decode("utf-8", "replace") for content in inner)


def test_no_artifact_of_a_deployment_holds_one_and_a_dead_target_changes_nothing(site: Little) -> None:
    site.release("1.1.0")
    with listeners.http(200) as heard, listeners.http("never") as mute:
        environment(
            site,
            f'[notify]\ntimeout = "1s"\n[notify.targets.board]\nkind = "webhook"\nurl = "{heard.url}"\n'
            f'[notify.targets.mute]\nkind = "slack"\nurl = "{mute.url}"\n'
            f'[notify.targets.gone]\nkind = "webhook"\nurl = "http://127.0.0.1:{listeners.nobody()}/"\n',
        )
        site.write("smoke/test_leaks.py", LEAKS)
        site.write(
            "checks/test_leaks.py", LEAKS.partition("def test_failed_with_locals")[0]
        )  # these pass: a page is left
        ran = site.deploy("1.1.0")
        by_hand = site.gate("status")
    assert ran.code == 1, f"{ran.told}"
    assert [json.loads(body)["event"] for _, body in heard.requests] == ["started", "rolled_back"]
    reasons = json.loads(heard.requests[1][1])["reasons"]
    assert reasons, "something was told, so something could have leaked"
    shown = ran.told + json.dumps(ran.document) + by_hand.told + "".join(body.decode() for _, body in heard.requests)
    assert "[redacted]" in shown
    assert held(shown) == []
    files = [file for place in ("reports", ".gate") for file in (site.root / place).rglob("*") if file.is_file()]
    looked = [file for file in files if not LOGS.fullmatch(file.name)]
    assert {"report.html", "decision.json", "checks.html", "candidate.events.jsonl", "gate.db"} <= {
        file.name for file in looked
    }
    assert {str(file.relative_to(site.root)): found for file in looked if (found := held(opened(file)))} == {}
    assert (site.root / "reports/local/2/checks.html").read_text(encoding="utf-8").count("[redacted]") > planted.MANY
    record = json.loads((site.root / "reports/local/2/decision.json").read_text(encoding="utf-8"))
    cases = {case["id"].partition("::")[2] for suite in record["suites"] for case in suite["cases"]}
    assert {"test_asked_for", "test_printed", "test_failed_with_locals", "test_said[0]"} <= cases
    undelivered = [note for note in record["notes"] if "was not told" in note]
    assert {note.split()[0] for note in undelivered} == {"mute", "gone"}
    assert all(note in ran.told for note in undelivered)
    assert "mute was not told" in (site.root / "reports/local/2/report.html").read_text(encoding="utf-8")
    assert site.gate("report", "verify", "2").code == 0, "what was added to the record is sealed, too"
