"""The smoke tests of the shop: each one sees the defect it is there for, on real servers, and leaves nothing behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from example.store import build
from gate.engines.base import Instance
from gate.machine import shell
from gate.results import CaseOutcome, Severity
from tests.smoke.rig import LOW_CPU_LIMIT, failed
from tests.smoke.shop import BASE, Shop, shop_open

STORE = "smoke/store"


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with shop_open(LOW_CPU_LIMIT) as here:
        yield here


@dataclass(frozen=True)
class Seen:
    """The cases that see a defect, and words of the first one's message."""

    cases: tuple[str, ...]
    words: str


# Defects that do not hide one another are planted together, in one release that is judged once.
GROUPS: list[dict[str, Seen]] = [
    {
        "breaks-api": Seen(("store/test_checkout.py::test_counter_checkout",), "the receipt's total is None"),
        "cache-ignored": Seen(("store/test_cache.py::test_cache_is_used",), "expected hit"),
        "corrupts-stock": Seen(
            ("store/test_checkout.py::test_sale_moves_its_stock", "test_invariants.py::test_data_invariants"),
            "the ledger says",
        ),
        "ignores-sigterm": Seen(("test_shutdown.py::test_graceful_shutdown",), "still takes new requests"),
        "inventory-broken": Seen(("store/test_inventory.py::test_delivery",), "the ledger says []"),
        "no-security-headers": Seen(("test_security_headers.py::test_security_headers",), "no Content-Security-Policy"),
        "page-without-assets": Seen(("test_page.py::test_page_and_assets",), "answers 404"),
        "refund-twice": Seen(("store/test_payments.py::test_refund_is_given_once",), "was given again"),
        "sells-to-minors": Seen(("store/test_age.py::test_age_is_refused",), "status 201, expected status 403"),
        "stale-backup": Seen(("store/test_backup_visible.py::test_backup_is_visible",), "No backup is known"),
        "wrong-version": Seen(("test_identity.py::test_identity",), "answers as"),
    },
    {
        "logs-errors": Seen(("test_log.py::test_no_errors_in_the_log",), "log_errors"),
        "double-charges": Seen(
            ("store/test_payments.py::test_card_is_charged_once", "test_invariants.py::test_data_invariants"),
            "cents were charged for a sale of",
        ),
        "burns-cpu": Seen(("test_resources.py::test_cpu",), "cpu "),
        "leaks-memory": Seen(("store/test_memory.py::test_sales_keep_no_memory",), "memory grows by 1"),
        "not-ready": Seen(("test_alive.py::test_ready",), "GET /ready answers 503"),
    },
    {
        "checkout-500s": Seen(
            ("store/test_checkout_times.py::test_checkout_times", "test_log.py::test_no_errors_in_the_log"),
            "of 24 sales failed, the first with status 500",
        ),
    },
    {
        "slow-checkout": Seen(("store/test_checkout_times.py::test_checkout_times",), "response_time 4."),
        "never-healthy": Seen(("test_alive.py::test_healthy",), "GET /health answers 503"),
    },
    {
        # These are not of the example: see changes/ here.
        "adults-refused": Seen(("store/test_age.py::test_age_is_accepted",), "status 403"),
        "answers-otherwise": Seen(
            ("store/test_contract.py::test_answers_to_a_cashier",), "$.items: expected type array"
        ),
        "declined-cards-pay": Seen(("store/test_payments.py::test_declined_card_buys_nothing",), "status 201"),
        "sells-again": Seen(("store/test_checkout.py::test_order_is_sold_once",), "moved its stock 2 times"),
        "sells-what-is-not-there": Seen(("store/test_inventory.py::test_stock_never_below_zero",), "status 201"),
        "training-counts": Seen(("store/test_checkout.py::test_training_is_not_in_the_totals",), "the totals rose by"),
    },
    {"sign-in-broken": Seen(("store/test_sign_in.py::test_sign_in",), "the right code is answered with 401")},
]
SEEN = {defect: seen for group in GROUPS for defect, seen in group.items()}
# What no smoke test can see, and who does.
SEEN_ELSEWHERE = {
    "crashes-at-start": "the start itself",
    "migration-breaks-old": "the checks",
    "migration-fails-half-way": "the checks",
    "migration-has-no-downgrade": "the checks",
    "no-way-back": "the checks",
}
# Wrong in real sales only: a candidate that has all of them passes.
LIVE = (
    "burns-cpu-live",
    "corrupts-stock-live",
    "fails-real-sales",
    "late-500s",
    "leaks-real-sales",
    "logs-errors-live",
    "slow-real-sales",
)


def test_every_defect_is_accounted_for() -> None:
    known = {name for name, change in build.read_changes().items() if change.kind == "defect"}
    assert known <= SEEN.keys() | SEEN_ELSEWHERE.keys() | set(LIVE)


@pytest.fixture(scope="module")
def judged(shop: Shop) -> Callable[[int], dict[str, str]]:
    """What the cases of a group say, asked once."""

    @cache
    def ask(group: int) -> dict[str, str]:
        defects = GROUPS[group]
        cases = sorted({f"smoke/{case}" for seen in defects.values() for case in seen.cases})
        with shop.serving(f"{BASE}+{'.'.join(defects)}") as instance:
            return failed(shop.place.judge(instance, cases))

    return ask


@pytest.mark.parametrize(("group", "defect"), [(group, defect) for group, seen in enumerate(GROUPS) for defect in seen])
def test_defect_is_seen(judged: Callable[[int], dict[str, str]], group: int, defect: str) -> None:
    expected, found = GROUPS[group][defect], judged(group)
    assert found.keys() >= set(expected.cases), found
    assert all(found[case].startswith("failed: ") for case in expected.cases), found
    assert expected.words in found[expected.cases[0]]


def test_what_only_live_traffic_shows_is_not_seen(shop: Shop) -> None:
    with shop.serving(f"{BASE}+{'.'.join(LIVE)}") as instance:
        assert not failed(shop.place.judge(instance, ["smoke"]))


@pytest.fixture(scope="module")
def good(shop: Shop) -> Iterator[Instance]:
    """The good release, serving."""
    with shop.serving(BASE) as instance:
        shop.place.engine.promote(instance)
        yield instance


def test_good_release_passes_and_leaves_nothing_behind(shop: Shop, good: Instance) -> None:
    before = shop.everything_but_training()
    result = shop.place.judge(good, ["smoke"])
    assert not failed(result)
    # At the front door there is one case more; nothing else was left out.
    assert [case.id for case in result.of(CaseOutcome.NOT_APPLICABLE)] == ["smoke/test_front_door.py::test_front_door"]
    # What decides comes first, what looks back comes last.
    files = list(dict.fromkeys(case_id.split("::")[0].removeprefix("smoke/") for case_id in result.planned))
    assert files[:4] == ["test_alive.py", "test_identity.py", "store/test_sign_in.py", "store/test_checkout_times.py"]
    assert files[-2:] == ["test_invariants.py", "test_log.py"]
    assert shop.everything_but_training() == before
    assert shop.training_left() == 0
    print(f"\nthe whole smoke suite took {result.seconds:.1f} s")


def test_synthetic_traffic_is_sent_counted_and_cleaned_up(shop: Shop, good: Instance) -> None:
    before = shop.everything_but_training()
    [case] = shop.place.judge(good, [f"{STORE}/synthetic.py"]).cases
    assert case.outcome is CaseOutcome.PASSED, case.message
    assert shop.place.sent(good, "/api/sales", "POST") >= 20
    assert shop.everything_but_training() == before
    assert shop.training_left() == 0


@pytest.mark.parametrize(
    ("defect", "words"), [("checkout-500s", "4 of 60 requests failed"), ("sign-in-broken", "60 of")]
)
def test_synthetic_traffic_goes_on_whatever_is_answered(shop: Shop, defect: str, words: str) -> None:
    with shop.serving(f"{BASE}+{defect}") as instance:
        [case] = shop.place.judge(instance, [f"{STORE}/synthetic.py"]).cases
        assert words in case.message
        sales, sign_ins = (shop.place.sent(instance, path, "POST") for path in ("/api/sales", "/api/session"))
        assert (sales == 20) if defect == "checkout-500s" else (sign_ins >= 60)


def test_front_door(shop: Shop, good: Instance) -> None:
    result = shop.place.judge(good, ["smoke/test_front_door.py", "smoke/test_identity.py"], phase="front")
    assert {case.outcome for case in result.cases} == {CaseOutcome.PASSED}


def test_restored_release_is_asked_only_what_is_critical(shop: Shop, good: Instance) -> None:
    result = shop.place.judge(good, ["smoke"], phase="restored", only=[Severity.CRITICAL])
    assert not failed(result)
    assert {case.severity for case in result.cases} == {Severity.CRITICAL}
    assert len(result.cases) > 15
    assert shop.training_left() == 0


def test_what_a_killed_run_left_is_cleaned_up(shop: Shop, good: Instance) -> None:
    shop.execute("UPDATE stock SET quantity = quantity - 3 WHERE sku = 'gin' AND training")  # as if half a sale
    assert not failed(
        shop.place.judge(good, [f"{STORE}/test_sign_in.py", f"{STORE}/test_age.py", "smoke/test_invariants.py"])
    )


def test_workers_give_the_same_record(shop: Shop, good: Instance) -> None:
    """By hand and with two workers of pytest-xdist, which share one training shelf."""
    argv = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "--rootdir", ".", "smoke", "-n", "2", "-q"]
    ran = shell.run([*argv, "--environment", "shop"], cwd=shop.place.root, timeout=60, check=False)
    assert ran.code == 0, ran.out
    assert shop.training_left() == 0


def test_broken_data_is_seen(shop: Shop, good: Instance) -> None:
    shop.execute("UPDATE stock SET quantity = quantity + 1 WHERE sku = 'gin' AND NOT training")
    try:
        found = failed(shop.place.judge(good, ["smoke/test_invariants.py"]))
    finally:
        shop.execute("UPDATE stock SET quantity = quantity - 1 WHERE sku = 'gin' AND NOT training")
    assert "stock-matches-ledger: 1 rows" in found["test_invariants.py::test_data_invariants"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finished_at": timedelta(hours=-25)}, "is 25.0 h old"),
        ({"verified": False}, "never restored"),
        ({"bytes": 0}, "is empty"),
        (None, "no backup is known"),
    ],
)
def test_bad_backup_is_seen(shop: Shop, good: Instance, change: dict[str, Any] | None, words: str) -> None:
    kept = shop.backup.read_text()
    if change is None:
        shop.backup.unlink()
    else:
        now = datetime.now(UTC)
        at = {
            key: (now + value).isoformat() if isinstance(value, timedelta) else value for key, value in change.items()
        }
        shop.backup.write_text(json.dumps({**json.loads(kept), **at}))
    try:
        found = failed(shop.place.judge(good, ["smoke/test_backup.py"]))
    finally:
        shop.backup.write_text(kept)
    assert words in found["test_backup.py::test_last_backup"]


def test_lost_cache_is_seen(shop: Shop, good: Instance) -> None:
    with shop.without(shop.cache):
        found = failed(shop.place.judge(good, ["smoke/test_alive.py"]))
    assert '"cache":false' in found["test_alive.py::test_ready"]
    assert "test_alive.py::test_healthy" not in found


def test_lost_database_is_seen(shop: Shop, good: Instance) -> None:
    with shop.without(shop.postgres):
        found = failed(shop.place.judge(good, ["smoke/test_alive.py"]))
    assert '"database":false' in found["test_alive.py::test_ready"]
    assert "test_alive.py::test_healthy" not in found
