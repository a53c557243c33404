"""The till of these cases: a training terminal, whose sales count nowhere and are cleaned up at the end."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# What is wrong with most bad releases shows in these two; the rest runs after them.
FIRST = ("test_sign_in.py", "test_checkout_times.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [number for number, item in enumerate(items) if HERE in item.path.parents]
    ours = [items[number] for number in places]
    ours.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))
    for number, item in zip(places, ours, strict=True):
        items[number] = item


class Till:
    """A signed-in training terminal. It signs in when first used, so that a case fails there and not its fixtures."""

    def __init__(self, app: Any, training_code: str) -> None:
        self.app = app
        self.terminal = f"smoke-{uuid.uuid4().hex[:12]}"
        self._code = training_code
        self._token: str | None = None

    @property
    def used(self) -> bool:
        return self._token is not None

    @property
    def headers(self) -> dict[str, str]:
        if self._token is None:
            answer = self.sign_in()
            assert answer.status_code == 201, f"the training terminal cannot sign in: {told(answer)}"
            self._token = answer.json()["token"]
        return {"Authorization": f"Bearer {self._token}"}

    def sign_in(self, pin: str | None = None) -> Any:
        who = {"terminal": self.terminal, "cashier": "smoke", "pin": self._code if pin is None else pin}
        return self.app.post("/api/session", json=who)

    def send(self, method: str, path: str, body: Any = None, *, client: Any = None) -> Any:
        """The whole answer, whatever its status. ``client`` is another one than the shared one."""
        return (client or self.app).request(method, path, json=body, headers=self.headers)

    def ask(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """What the shop answers; fails the case when the status is not ``expect``."""
        answer = self.send(method, path, body)
        assert answer.status_code == expect, f"{method} {path}: {told(answer)}, expected status {expect}"
        return answer.json() if answer.content else {}

    def sell(self, order: dict[str, Any], *, expect: int = 201) -> Any:
        return self.ask("POST", "/api/sales", order, expect=expect)

    def ledger(self, sku: str) -> Any:
        """Stock of an item, the sum of its movements, and the latest of these."""
        return self.ask("GET", f"/api/inventory/{sku}")

    @staticmethod
    def order(sku: str, quantity: int = 1, *, card: str | None = None, **more: Any) -> dict[str, Any]:
        """A complete order of one item, under an order id and a payment key of its own; ``more`` adds or replaces."""
        payment: dict[str, Any] = {"method": "card" if card else "cash", "idempotency_key": f"pay-{uuid.uuid4()}"}
        if card:
            payment["card"] = {"number": card}
        lines = [{"sku": sku, "quantity": quantity}]
        return {"order_id": str(uuid.uuid4()), "lines": lines, "payment": payment, **more}


def told(answer: Any) -> str:
    """Status and reason of an answer. Nothing else of it is shown: it may hold a token."""
    with suppress(ValueError, AttributeError):
        reason = answer.json().get("message")
        return f"status {answer.status_code}" + (f" ({reason})" if reason else "")
    return f"status {answer.status_code}"


@pytest.fixture(scope="session")
def till(app: Any, environment: Any, pytestconfig: pytest.Config, tmp_path_factory: Any) -> Iterator[Till]:
    """The training terminal; the first case cleans up after runs that were killed, the last one after this run."""
    till = Till(app, environment.options["training_code"].reveal())
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if hasattr(pytestconfig, "workerinput") else folder
    with counted(shared / "tills", +1) as open_tills, suppress(Exception):
        if open_tills == 1:
            till.ask("DELETE", "/api/training")  # whatever is wrong, the cases will tell
    yield till
    with counted(shared / "tills", -1) as open_tills:
        if open_tills == 0 and till.used:
            till.ask("DELETE", "/api/training")


@contextmanager
def counted(file: Path, change: int) -> Iterator[int]:
    """Tills open in this run, one for each pytest-xdist worker, after ``change``; held still during the block."""
    with file.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        count = int(stream.read() or 0) + change
        stream.truncate(0)
        stream.write(str(count))
        stream.flush()
        yield count
