"""The shop as a process: its answers about itself, its headers, its logs, its start and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gate.database.cluster import Cluster
from tests.store.running import (
    TRAINING_CODE,
    Instance,
    Start,
    alembic,
    card,
    free_port,
    order,
    serving,
    settings_for,
    wait_until,
)

HEADERS = [
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "permissions-policy",
]


def test_who_it_is(shop: Instance, release: Callable[[str], Path]) -> None:
    manifest = json.loads((release("1.1.0") / "release.json").read_text())
    assert shop.client.get("/version").json() == {key: manifest[key] for key in ("version", "digest", "commit")}


@pytest.mark.parametrize("path", ["/", "/health", "/version", "/assets/till.js", "/no-such-page", "/api/items"])
def test_every_answer_carries_release_and_security_headers(shop: Instance, path: str) -> None:
    answer = shop.client.get(path)
    assert answer.headers["X-Release"] == "1.1.0"
    assert [name for name in HEADERS if name not in answer.headers] == []
    assert "server" not in answer.headers
    assert "unsafe-inline" not in answer.headers["content-security-policy"]


def test_an_unhandled_error_is_answered_logged_and_keeps_the_connection(start: Start) -> None:
    with start("1.1.0+checkout-500s") as shop:
        clerk = shop.cashier()
        answers = [
            shop.client.post("/api/sales", json=order(), headers={**clerk, "X-Request-Id": f"sale-{number}"})
            for number in range(1, 11)
        ]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 201, 500] * 2
        assert answers[4].json()["code"] == "internal_error"
        assert answers[4].headers["X-Release"] == "1.1.0+checkout-500s"
        assert "x-frame-options" in answers[4].headers

        def errors() -> list[dict[str, Any]]:
            return [event for event in shop.events() if event["level"] == "ERROR"]

        wait_until(lambda: len(errors()) == 2, "both errors to be logged")  # the client is answered first
        assert [event["request_id"] for event in errors()] == ["sale-5", "sale-10"]
        assert "KeyError: 'discount'" in errors()[0]["traceback"]
        assert shop.client.get("/health").json()["in_flight"] == 0


def test_the_page_has_its_assets_and_no_inline_script(shop: Instance) -> None:
    page = shop.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for asset, kind in [("till.js", "javascript"), ("style.css", "css"), ("icon.svg", "svg")]:
        assert f"/assets/{asset}" in page.text
        assert kind in shop.client.get(f"/assets/{asset}").headers["content-type"]
    assert page.text.count("<script") == page.text.count('<script src="') == 1
    assert "style=" not in page.text


def test_the_api_describes_itself_as_the_release_says(shop: Instance, release: Callable[[str], Path]) -> None:
    described = json.loads((release("1.1.0") / "openapi.json").read_text())
    assert shop.client.get("/openapi.json").json() == described
    assert described["info"]["version"] == "1.1.0"
    assert "note" in described["components"]["schemas"]["Receipt"]["properties"]


def test_the_last_backup_is_told(shop: Instance) -> None:
    boss = shop.manager()
    assert shop.client.get("/api/admin/backup", headers=boss).json()["code"] == "no_backup"
    status = {"id": "b-1", "finished_at": "2026-11-24T02:00:00Z", "bytes": 1234, "verified": True}
    Path(shop.environment["STORE_BACKUP_STATUS"]).write_text(json.dumps(status))
    assert shop.client.get("/api/admin/backup", headers=boss).json() == status
    assert shop.client.get("/api/admin/backup", headers=shop.cashier()).status_code == 403


def test_logs_are_json_and_hold_no_secret(shop: Instance) -> None:
    shop.training()
    shop.sell(shop.cashier(), order(payment=card("4000000000000002")))
    bad = {"terminal": "till-9", "cashier": "BOB!", "pin": "13571357"}
    invalid = shop.client.post("/api/session", json=bad)
    assert invalid.status_code == 422
    assert "13571357" not in invalid.text
    events = shop.events()
    assert all({"time", "level", "logger", "message"} <= event.keys() for event in events)
    assert {"uvicorn.error", "store.sessions"} <= {event["logger"] for event in events}
    text = shop.log.read_text()
    secrets = ["4000000000000002", "2468", TRAINING_CODE, shop.environment["STORE_SECRET"], *shop.tokens.values()]
    # A time or a port may hold the PIN's digits among others.
    assert [secret for secret in secrets if re.search(rf"(?<!\d){re.escape(secret)}(?!\d)", text)] == []


def test_a_request_under_way_is_finished_before_the_end(start: Start) -> None:
    with start("1.1.0+slow-checkout") as shop, ThreadPoolExecutor(1) as threads:
        clerk = shop.cashier()
        total = shop.client.get("/health").json()["total"]
        slow = threads.submit(shop.sell, clerk, order())
        wait_until(lambda: shop.client.get("/health").json()["in_flight"] == 1, "the sale to be under way")
        shop.process.send_signal(signal.SIGTERM)
        assert slow.result(timeout=15).status_code == 201
        assert shop.process.wait(timeout=10) in {0, -signal.SIGTERM}
        assert shop.query("SELECT count(*) FROM sales") == [(1,)]
        assert total == 1
        assert shop.events()[-1]["level"] == "INFO"


def test_readiness_follows_the_schema(start: Start, release: Callable[[str], Path], new_database: Any) -> None:
    database = new_database()
    old, new = release("1.0.0"), release("1.1.0")
    with start("1.1.0", database) as shop:

        def schema() -> tuple[int, dict[str, Any]]:
            answer = shop.client.get("/ready")
            return answer.status_code, answer.json()["schema"]

        assert schema() == (503, {"ok": False, "database_head": None, "code_head": "0005"})
        alembic(old, database, "upgrade", "head")
        assert schema() == (503, {"ok": False, "database_head": "0004", "code_head": "0005"})
        alembic(new, database, "upgrade", "head")
        assert schema() == (200, {"ok": True, "database_head": "0005", "code_head": "0005"})
        alembic(new, database, "downgrade", "-1")
        assert schema()[0] == 503


def test_without_database_or_cache_it_is_alive_and_not_ready(
    release: Callable[[str], Path], shop: Instance, tmp_path: Path
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    settings = settings_for(f"postgresql://store:hunter22@{nowhere}/store", f"redis://:hunter22@{nowhere}/0", tmp_path)
    with serving(release("1.1.0"), settings) as alone:
        assert alone.client.get("/health").status_code == 200
        answer = alone.client.get("/ready")
        assert answer.status_code == 503
        assert (answer.json()["database"], answer.json()["cache"]) == (False, False)
        who = {"terminal": "till-1", "cashier": "bob", "pin": "1357"}
        assert alone.client.post("/api/session", json=who).json()["code"] == "cache_unavailable"
        assert "hunter22" not in alone.log.read_text()


def test_lost_connections_cost_no_sale(start: Start) -> None:
    with start("1.1.0") as shop:
        clerk = shop.cashier()

        def connections() -> set[Any]:
            return set(
                shop.query(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'store' AND datname = current_database()"
                )
            )

        with ThreadPoolExecutor(20) as threads:
            list(threads.map(lambda _: shop.sell(clerk, order()), range(60)))
        before = connections()
        assert len(before) > 5
        shop.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'store' AND datname = current_database()"
        )
        assert shop.sell(clerk, order()).status_code == 201
        wait_until(lambda: connections().isdisjoint(before), "new connections")
        assert [shop.sell(clerk, order()).status_code for _ in range(12)] == [201] * 12


def test_a_database_that_is_back_sells_at_once(release: Callable[[str], Path], cache_url: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="store-pg-", dir="/tmp") as folder:
        server = Cluster(Path(folder) / "server", durable=False)
        server.init()
        server.start()
        try:
            database = server.url().reveal()
            assert alembic(release("1.1.0"), database, "upgrade", "head").returncode == 0
            with serving(release("1.1.0"), settings_for(database, cache_url, tmp_path)) as shop:
                clerk = shop.cashier()
                server.stop(grace=5)
                assert shop.sell(clerk, order()).status_code == 503  # after as long as a customer waits
                server.start()
                answer = shop.sell(clerk, order())
                assert answer.status_code == 201
                assert answer.elapsed.total_seconds() < 1
        finally:
            server.stop()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STORE_SECRET", None, "STORE_SECRET is not set"),
        ("STORE_SECRET", "short", "STORE_SECRET has 5 characters"),
        ("DATABASE_URL", None, "DATABASE_URL is not set"),
        ("DATABASE_URL", "mysql://root:hunter22@db/store", "DATABASE_URL does not start with postgresql://"),
        ("REDIS_URL", None, "REDIS_URL is not set"),
    ],
)
def test_a_missing_setting_stops_the_start_with_one_line(
    release: Callable[[str], Path], name: str, value: str | None, message: str, tmp_path: Path
) -> None:
    settings = settings_for("postgresql://x/y", "redis://x", tmp_path)
    settings.pop(name)
    if value is not None:
        settings[name] = value
    started = subprocess.run(
        [sys.executable, "-c", "import store.main"],
        cwd=release("1.1.0"),
        env={**settings, "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert started.returncode == 2
    [line] = started.stderr.splitlines()
    assert json.loads(line)["message"].startswith(message)
    assert "hunter22" not in line
