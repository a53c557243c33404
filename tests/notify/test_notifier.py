"""Messages: who is told what, what a target may answer, and that nobody waits for it."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gate.config import Environment
from gate.config.notifying import Occasion
from gate.config.parsing import parse
from gate.errors import ConfigError, OperationFailed, UsageError
from gate.notify import Notifier, say_failures
from gate.notify.message import Message, alert
from gate.notify.targets import DELIVERY, SIGNATURE
from gate.notify.trial import trial
from tests.notify import listeners

AT = datetime(2026, 11, 28, 2, 14, 7, tzinfo=UTC)
KEY = "a-key-of-the-shop-0815"


def environment(timeout: str = "4s", **targets: dict[str, Any]) -> Environment:
    table = {
        "app": {"name": "shop", "url": "http://127.0.0.1:1"},
        "releases": {"source": "releases"},
        "engine": {"kind": "process"},
        "traffic": {"listen": "127.0.0.1:8080"},
        "services": {"web": {"command": ["true"], "route": "/", "health": "/health", "identity": "/v#v"}},
        "checks": {"folders": ["checks"]},
        "smoke": {"folders": ["smoke"]},
        "options": {"key": "${SHOP_KEY}"},
        "contacts": {"primary": "+49 30 1234"},
        "notify": {"timeout": timeout, "targets": targets},
    }
    root = Path("/project")
    file = root / "environments" / "production.toml"
    return parse(table, {"SHOP_KEY": KEY}, name="production", file=file, root=root)


def hook(heard: listeners.Heard, **more: Any) -> dict[str, Any]:
    return {"kind": "webhook", "url": heard.url, **more}


def mail(port: int) -> dict[str, Any]:
    made = {"kind": "email", "host": "127.0.0.1", "port": port, "security": "none"}
    return {**made, "sender": "gate@shop.example", "recipients": ["a@shop.example", "b@shop.example"]}


def message(event: Occasion = Occasion.ROLLED_BACK, **more: Any) -> Message:
    fields: dict[str, Any] = {"title": "rolled back from 1.1.0", "reasons": (f"bad key {KEY}",), "deployment": 42}
    return Message(event, AT, "production", "shop", **{**fields, **more})


def sent(here: Environment, *messages: Message, patience: float = 1.0) -> list[str]:
    """Sends and settles; what did not arrive."""
    notifier = Notifier(here, patience=patience)
    for item in messages:
        notifier.send(item)
    return say_failures(notifier.settle(), lambda _: None)


def test_a_webhook_gets_a_signed_document_without_secrets() -> None:
    with listeners.http(200) as heard:
        item = message(contacts={"primary": "+49 30"}, next=f"ask for {KEY}")
        assert sent(environment(board=hook(heard, secret="of-the-board-4711")), item) == []
        headers, body = heard.requests[0]
    document = json.loads(body)
    assert (document["event"], document["deployment"], document["at"]) == (
        "rolled_back",
        42,
        "2026-11-28T02:14:07.000+00:00",
    )
    assert document["reasons"] == ["bad key [redacted]"]
    assert document["contacts"] == {"primary": "+49 30"}
    assert "ask for [redacted]" in document["text"]
    assert KEY.encode() not in body
    assert headers[DELIVERY] == document["id"] == item.id
    assert headers[SIGNATURE] == f"sha256={hmac.new(b'of-the-board-4711', body, hashlib.sha256).hexdigest()}"


def test_without_a_secret_nothing_is_signed() -> None:
    with listeners.http(204) as heard:
        assert sent(environment(board=hook(heard)), message()) == []
    assert SIGNATURE not in heard.requests[0][0]


def test_slack_gets_text_that_calls_nobody() -> None:
    with listeners.http(200) as heard:
        here = environment(team={"kind": "slack", "url": heard.url})
        assert sent(here, message(title="rolled back from <!channel> & <https://evil.example|this>")) == []
    text = json.loads(heard.requests[0][1])["text"]
    assert text.startswith(
        "*shop production: rolled back from &lt;!channel&gt; &amp; &lt;https://evil.example|this&gt;*"
    )
    assert "<" not in text


@pytest.mark.parametrize(
    "said",
    [
        "@all",
        "x @channel: y",
        "_@here",
        ".@all",
        "[ok](https://evil.example)",
        "![p](https://evil.example/p)",
        "[ok][1]",
        "[1]: https://evil.example",
        "call <@U1>",
    ],
)
def test_nor_what_mattermost_or_rocket_chat_take_for_a_call_or_a_link(said: str) -> None:
    """They read Markdown, and Slack's escapes are none there."""
    with listeners.http(200) as heard:
        here = environment(team={"kind": "slack", "url": heard.url})
        assert sent(here, message(title=said, reasons=(said, "call alice@shop.example"))) == []
    text = json.loads(heard.requests[0][1])["text"]
    assert not re.search(r"(?<![a-z])@\w|\]\s*[(\[:]", text)
    assert "alice@shop.example" in text  # an address stays one
    assert said.replace("<", "&lt;").replace(">", "&gt;") in text.replace("\u200b", "")


def test_mail_arrives_with_one_subject_whatever_the_title() -> None:
    with listeners.smtp("250") as heard:
        title = "rolled back\r\nBcc: evil@else.example\r\n\r\nnot the body – ä"
        assert sent(environment(on_call=mail(heard.port)), message(title=title)) == []
    got = email.message_from_bytes(heard.requests[0][1], policy=email.policy.default)
    # Long subjects are folded, and a fold may cost a blank.
    assert got["Subject"].replace(" ", "") == "shopproduction:rolledbackBcc:evil@else.examplenotthebody–ä"
    assert got["Bcc"] is None
    assert got["To"] == "a@shop.example, b@shop.example"
    assert "bad key [redacted]" in got.get_content()
    assert KEY.encode() not in heard.requests[0][1]


@pytest.mark.parametrize("first", [500, "429 1", 503, "garbage"])
def test_what_passes_is_tried_again_as_the_same_message(first: int | str) -> None:
    with listeners.http(first, 200) as heard:
        assert sent(environment(board=hook(heard)), message()) == []
    assert len(heard.requests) == 2
    assert heard.requests[0][0][DELIVERY] == heard.requests[1][0][DELIVERY]


def test_a_mail_server_that_asks_to_come_back_is_asked_again() -> None:
    with listeners.smtp("451", "250") as heard:
        assert sent(environment(on_call=mail(heard.port)), message()) == []
    assert len(heard.requests) == 2


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
def test_a_refusal_is_final(status: int) -> None:
    with listeners.http(status) as heard:
        told = sent(environment(board=hook(heard)), message())
    assert told == [f"board was not told (rolled_back: rolled back from 1.1.0): refused with status {status}"]
    assert len(heard.requests) == 1


def test_a_refusal_of_a_mail_server_is_final() -> None:
    with listeners.smtp("554") as heard:
        told = sent(environment(on_call=mail(heard.port)), message())
    assert told[0].endswith("refused with status 554")
    assert len(heard.requests) == 1


def test_starttls_is_demanded_before_anything_is_said() -> None:
    with listeners.smtp("250") as heard:
        told = sent(environment(on_call={**mail(heard.port), "security": "starttls"}), message())
    assert "SMTPNotSupportedError" in told[0]
    assert heard.requests == []


@pytest.mark.parametrize("answer", ["never", 500, "garbage", "429 3600"])
def test_nobody_waits_longer_than_the_time_out(answer: int | str) -> None:
    with listeners.http(answer) as heard:
        notifier = Notifier(environment("0.5s", board=hook(heard)))
        began = time.monotonic()
        notifier.send(message())
        assert time.monotonic() - began < 0.2
        told = say_failures(notifier.settle(), lambda _: None)
        assert time.monotonic() - began < 1.0
    assert len(told) == 1
    assert told[0].startswith("board was not told (rolled_back: rolled back from 1.1.0): ")
    assert heard.url not in told[0]
    assert "T0KEN" not in told[0]


def test_who_is_not_there_costs_the_time_out_once_for_all() -> None:
    ports = [listeners.nobody() for _ in range(3)]
    targets = {f"t{port}": {"kind": "webhook", "url": f"http://127.0.0.1:{port}/"} for port in ports}
    began = time.monotonic()
    told = sent(environment("0.5s", mail=mail(ports[0]), **targets), message())
    assert time.monotonic() - began < 1.0
    assert len(told) == 4
    assert all("no answer: " in text for text in told)


def test_what_ended_stands_in_for_what_began() -> None:
    with listeners.http(500, 200) as heard:
        notifier = Notifier(environment(board=hook(heard)))
        notifier.send(message(Occasion.STARTED, title="it begins"))
        assert heard.arrived.wait(5)
        notifier.send(message(Occasion.RELEASED, title="it serves"))
        told = say_failures(notifier.settle(), lambda _: None)
    assert [json.loads(body)["event"] for _, body in heard.requests] == ["started", "released"]
    assert told in ([], ["board was not told (started: it begins): status 500; given up for a newer message"])


def test_a_target_is_told_what_it_wants() -> None:
    with listeners.http(200) as one, listeners.http(200) as other:
        here = environment(one=hook(one, events=["rollback_failed", "alert"]), other=hook(other))
        assert sent(here, message(Occasion.RELEASED)) == []
        warned = alert(here, AT, "p95 is 4 s", [f"with {KEY}"], deployment=42, version="1.1.0")
        assert sent(here, warned) == []
    assert [json.loads(body)["event"] for _, body in one.requests] == ["alert"]
    assert [json.loads(body)["event"] for _, body in other.requests] == ["released", "alert"]
    assert json.loads(one.requests[0][1])["contacts"] == {"primary": "+49 30 1234"}


def test_many_and_long_reasons_are_cut_after_secrets_are_out() -> None:
    reasons = (f"{'x' * 495}{KEY}", *(f"reason {n}" for n in range(20)))
    with listeners.http(200) as heard:
        assert sent(environment(board=hook(heard)), message(reasons=reasons)) == []
    document = json.loads(heard.requests[0][1])
    assert "and 16 more, in the report" in document["text"]
    assert KEY[:5] not in heard.requests[0][1].decode()


def test_trial_says_who_answered() -> None:
    said: list[str] = []
    with listeners.http(200) as heard, listeners.http(403) as deaf:
        here = environment(board=hook(heard, events=["released"]), off={"kind": "slack", "url": ""}, no=hook(deaf))
        with pytest.raises(OperationFailed, match="no: refused with status 403") as fault:
            trial(here, said.append, "alice@ops", AT)
        assert fault.value.next_step == "mend [notify.targets.no]"
        document = trial(environment(board=hook(heard)), said.append, "alice@ops", AT)
    assert [line.split()[:3] for line in said[:3]] == [
        ["board", "webhook", "told"], ["off", "slack", "off"], ["no", "webhook", "failed"],
    ]  # fmt: skip
    assert document["targets"][0]["state"] == "told"
    assert json.loads(heard.requests[0][1])["event"] == "test"
    with pytest.raises(UsageError, match="tells nobody"):
        trial(environment(), said.append, "alice@ops", AT)


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ({"kind": "slack", "url": "hooks.slack.com/x"}, "url: write a whole address"),
        ({"kind": "pager"}, "pager"),
        ({"kind": "webhook", "url": "https://h/", "events": ["begun"]}, "events"),
        ({"kind": "webhook", "url": "https://h/", "events": []}, "events"),
        ({**mail(25), "recipients": ["a b@c"]}, "recipients"),
    ],
)
def test_a_wrong_target_is_refused_when_the_file_is_read(target: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=r"\[notify.targets") as refused:
        environment(one=target)
    assert fault in str(refused.value)
