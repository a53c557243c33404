"""What releases answer is counted from the proxy's log, and nothing in that log stops the count."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.live.observations import Blind, Requests, Role, from_row, to_row
from gate.signals.access_log import AccessLog
from tests.signals.lines import ORIGIN, Log, line

ROLES = {"r1": Role.STABLE, "r2": Role.CANDIDATE}
IGNORED = {"/health", "/ready", "/version"}


class Clock:
    """The time since ``ORIGIN``, as a test sets it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return ORIGIN + self.now


def opened(file: Path, clock: Callable[[], float] | None = None) -> AccessLog:
    return AccessLog(file, ROLES, ORIGIN, IGNORED, clock=clock or Clock())


def seen(log: Log, *texts: str | bytes) -> list[Requests | Blind]:
    """What is read of lines that are written now."""
    requests = opened(log.path)
    log.write(*texts)
    return requests.read()


def one(log: Log, *texts: str | bytes) -> Requests:
    (row,) = seen(log, *texts)
    assert isinstance(row, Requests)
    return row


def counted(rows: list[Requests | Blind] | list[Requests]) -> int:
    return sum(row.count for row in rows if isinstance(row, Requests))


def test_a_row_for_each_tick_role_and_route(log: Log) -> None:
    rows = seen(
        log,
        line(0.31, instance="r1"),
        line(0.05, status=200, path="/api/sales/17"),
        line(0.07, status=500, path="/api/sales/18", duration=0.0323456),
        line(0.19, path="/api/sales/19"),
        line(-0.01, path="/api/sales/20"),
    )
    route, candidate = "GET /api/sales/{id}", Role.CANDIDATE
    assert rows == [
        Requests(-0.1, candidate, route, 1, 0, 0, ((12.3, 1),)),
        Requests(0.0, candidate, route, 2, 1, 0, ((12.3, 1), (32.3, 1))),
        Requests(0.1, candidate, route, 1, 0, 0, ((12.3, 1),)),
        Requests(0.3, Role.STABLE, "GET /", 1, 0, 0, ((12.3, 1),)),
    ]
    assert [from_row(json.loads(json.dumps(to_row(row)))) for row in rows] == rows


@pytest.mark.parametrize(("status", "errors"), [(0, 1), (200, 0), (404, 0), (500, 1), (502, 1), (503, 1), (599, 1)])
def test_which_answers_are_errors(log: Log, status: int, errors: int) -> None:
    row = one(log, line(status=status))
    assert (row.count, row.errors, row.gone) == (1, errors, 0)


def test_what_waited_before_the_watch_began_says_nothing_of_the_candidate(log: Log) -> None:
    """Its failure does: only how long it took is not the candidate's."""
    row = one(log, line(0.05, duration=2.5), line(0.06, duration=2.5, status=500), line(0.07, duration=0.03))
    assert (row.count, row.errors, row.milliseconds) == (3, 1, ((30.0, 1),))
    assert one(log, line(3.0, duration=2.5)).milliseconds == ((2500.0, 1),)


def test_a_client_that_left_counts_neither_as_good_nor_as_bad(log: Log) -> None:
    row = one(log, line(status=200), line(status=499))
    assert (row.count, row.errors, row.gone, row.milliseconds) == (1, 0, 1, ((12.3, 1),))


def test_a_connection_that_changed_its_protocol_has_no_latency(log: Log) -> None:
    assert one(log, line(status=101, duration=3600.0)).milliseconds == ()


def test_a_request_that_a_dead_instance_was_dialled_for_is_its_error(log: Log) -> None:
    row = one(log, line(instance="r2", status=502, duration=5.0))
    assert (row.role, row.errors) == (Role.CANDIDATE, 1)


@pytest.mark.parametrize("upstream", ["", "{http.reverse_proxy.upstream.address}", "unix//srv/rel/nobody/web.sock"])
def test_a_request_that_reached_no_instance_counts_apart(log: Log, upstream: str) -> None:
    requests = opened(log.path)
    log.write(line(0.5, status=502, upstream=upstream), line(0.6, upstream=upstream), line(0.7, status=499))
    rows = requests.read()
    assert counted(rows) == 0
    assert requests.unanswered == [0.5]
    requests.read()
    assert requests.unanswered == []


def cut_off(at: float) -> str:
    """What the proxy writes of an answer that broke off: a good status, and nothing that is added afterwards."""
    entry = json.loads(line(at, duration=0))
    return json.dumps({key: value for key, value in entry.items() if key not in {"upstream", "service", "uuid"}}) + "\n"


@pytest.mark.parametrize("release", ["", "-"])
def test_a_failure_nobody_names_counts_against_the_candidate_in_a_teams_own_log(log: Log, release: str) -> None:
    def entry(at: float, status: int, path: str, by: str) -> str:
        request = {"method": "GET", "uri": path}
        return (
            json.dumps({"ts": ORIGIN + at, "status": status, "duration": 0.01, "request": request, "release": by})
            + "\n"
        )

    rows = seen(
        log,
        entry(0.31, 502, "/orders", release),
        entry(0.32, 502, "/health", release),
        entry(0.33, 200, "/orders", release),
        entry(0.34, 200, "/orders", "r2"),
        entry(0.35, 200, "/health", "r2"),
    )
    (row,) = rows
    assert isinstance(row, Requests)
    assert (row.role, row.route, row.count, row.errors) == (Role.CANDIDATE, "GET /orders", 2, 1)


def test_an_answer_that_broke_off_is_no_answer(log: Log) -> None:
    requests = opened(log.path)
    log.write(line(0.1), cut_off(0.2), line(0.3))
    assert counted(requests.read()) == 2
    assert (requests.cut_off, requests.unanswered, requests.malformed) == ([0.2], [], 0)
    around = requests.around(0.2, before=1, after=1)
    assert (around.attempted, around.failed, around.cut_off) == (2, 0, 1)
    assert around.longest_gap == pytest.approx(200, abs=0.2)
    requests.read()
    assert requests.cut_off == []


def test_an_instance_without_a_role_counts_for_nobody(log: Log) -> None:
    requests = opened(log.path)
    log.write(line(instance="r77", status=500))
    assert requests.read() == []
    assert (requests.strangers, requests.unanswered) == (1, [])


def test_probes_are_synthetic_and_the_gates_own_questions_are_dropped(log: Log) -> None:
    rows = seen(log, line(path="/sale", probe="yes"), line(path="/sale"), line(path="/health", probe="yes"))
    assert [(row.synthetic, row.count) for row in rows if isinstance(row, Requests)] == [(False, 1), (True, 1)]
    assert counted(seen(log, line(path="/health"))) == 1, "users may ask the same"


def test_a_question_of_the_gate_shows_that_the_log_lives(log: Log) -> None:
    requests = opened(log.path)
    assert requests.lines == 0
    log.write(line(1.5, path="/version", probe="yes"))
    assert requests.read() == []
    assert requests.lines == 1


def test_queries_are_no_part_of_a_route(log: Log) -> None:
    assert one(log, line(path="/items?name=x")).route == "GET /items"


GARBAGE: list[str | bytes] = [
    "not json\n",
    "[]\n",
    "null\n",
    "17\n",
    "{}\n",
    b"\xff\xfe\x00\n",
    "[" * 50_000 + "\n",
    line(ts="yesterday"),
    line(ts=float("nan")),
    line(ts=float("inf")),
    line(ts=-1),
    line(ts=10**400),
    line().replace('"status":200', '"status":"200"'),
    line().replace('"status":200', '"status":null'),
    line().replace('"status":200', '"status":[]'),
    line().replace('"status":200', '"status":1e400'),
    line(request=None),
    line(request={"method": "GET"}),
    line(request={"method": "GET", "uri": 17}),
    line(upstream={}),
    line(upstream=None),
    line(duration="long"),
    line()[:100] + "\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_line_that_is_no_request_is_counted_and_costs_no_other(log: Log, garbage: str | bytes) -> None:
    requests = opened(log.path)
    log.write(line(0.1), garbage, line(0.2))
    assert counted(requests.read()) == 2
    assert requests.malformed == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["ts", "status", "request", "duration", "upstream", "probe", "uuid"])


@given(changes=st.dictionaries(KEYS, VALUES, max_size=3), method=VALUES, uri=VALUES)
def test_no_value_anywhere_in_a_line_raises(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], method: object, uri: object
) -> None:
    log = Log(tmp_path_factory.mktemp("log"))
    requests = opened(log.path)
    log.write(line(**{"request": {"method": method, "uri": uri}, **changes}), line(0.2))
    assert counted(requests.read()) >= 1
    log.close()


def test_many_lines_that_are_no_requests_are_told_once_a_second(log: Log) -> None:
    clock = Clock()
    requests = opened(log.path, clock)
    log.write(*["garbage\n"] * 19)
    assert requests.read() == []
    log.write("garbage\n")
    (blind,) = requests.read()
    assert isinstance(blind, Blind)
    assert (blind.what, "20 lines in a row" in blind.text) == ("error_rate", True)
    assert "garbage" not in blind.text, "nobody knows what secrets stand in it"
    log.write("garbage\n")
    assert requests.read() == []
    clock.now = 1.1
    assert requests.read() == [], "nothing new"
    log.write("garbage\n")
    assert len(requests.read()) == 1
    clock.now = 2.2
    log.write(line(2.0), "garbage\n")
    assert counted(requests.read()) == 1


def test_a_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    clock = Clock()
    requests = opened(tmp_path / "access.log", clock)
    assert requests.before(600) == []
    assert requests.read() == [], "it may just be rotated"
    told: list[Requests | Blind] = []
    for tenths in range(1, 40):
        clock.now = tenths / 10
        told += requests.read()
    assert [type(row) for row in told] == [Blind] * 3
    (tmp_path / "access.log").write_text(line(4.0))
    clock.now = 9.0
    assert counted(requests.read()) == 1
    clock.now = 19.0
    assert requests.read() == []


def test_a_rotated_file_that_nobody_read_is_told(log: Log) -> None:
    requests = opened(log.path)
    log.write(line(0.1))
    log.rotate()
    log.write(line(0.2))
    log.rotate(packed=True).write_bytes(b"broken")
    rows = requests.read()
    assert counted(rows) == 1
    assert isinstance(rows[-1], Blind)
    assert "1 rotated file" in rows[-1].text


def test_before_the_watch_is_what_stable_answered_users(log: Log) -> None:
    log.write(
        line(-700, instance="r1"),
        line(-500, instance="r1", status=500),
        line(-400, instance="r2"),
        line(-300, instance="r1", probe="yes"),
        line(-200, instance="r1"),
    )
    requests = opened(log.path)
    log.write(line(0.15, instance="r1"))
    rows = requests.before(600)
    assert [(row.at, row.role, row.count, row.errors) for row in rows] == [
        (-500.0, Role.STABLE, 1, 1),
        (-200.0, Role.STABLE, 1, 0),
    ]
    assert [row.at for row in requests.read() if isinstance(row, Requests)] == [0.1]
    assert requests.lines == 1


@pytest.mark.parametrize("packed", [False, True])
def test_before_the_watch_reaches_into_the_file_rotated_last(log: Log, packed: bool) -> None:
    log.write(line(-30, instance="r1"))
    log.rotate(packed=packed)
    log.write(line(-20, instance="r1"))
    log.rotate(packed=packed)
    log.write(line(-10, instance="r1"))
    requests = opened(log.path)
    assert [row.at for row in requests.before(600)] == [-20.0, -10.0]
    assert [row.at for row in requests.before(15)] == [-10.0]


def test_before_the_watch_reads_a_few_megabytes_at_most(log: Log) -> None:
    text = line(-5, instance="r1")
    log.write(text * 20_000)
    read = counted(opened(log.path).before(600))
    assert 1_000_000 < read * len(text) <= 4 * 1024 * 1024


def test_a_switch_counts_what_users_attempted_around_it(log: Log) -> None:
    requests = opened(log.path)
    log.write(
        line(1.0, instance="r1"),
        line(8.0, instance="r1"),
        line(9.9, instance="r1"),
        line(10.6),
        line(10.2, status=502, instance=None),
        line(10.3, status=499),
        line(10.4, probe="yes"),
        line(10.7, instance="r77"),
        line(14.0),
    )
    requests.read()
    around = requests.around(10.0, before=1.0, after=1.0)
    assert (around.attempted, around.failed, around.complete) == (4, 1, True)
    assert around.longest_gap == pytest.approx(3300, abs=0.2), "the answers at 10.7 and 14.0 enclose the window's end"
    assert requests.around(12.0, 1.0, 1.0).attempted == 0
    assert requests.around(12.0, 1.0, 1.0).longest_gap == pytest.approx(3300, abs=0.2)
    assert requests.around(100.0, 1.0, 1.0).longest_gap is None


@pytest.mark.parametrize("rotated", [False, True])
def test_a_switch_of_the_past_is_counted_from_the_log(log: Log, rotated: bool) -> None:
    log.write(line(-30, probe="yes"), line(-9.5, instance="r1"), cut_off(-9.0))
    if rotated:
        log.rotate()
    log.write(line(-8.5, status=502, instance=None), line(-8.2, probe="yes"), line(-8.1, status=499), line(-8.0))
    requests = opened(log.path)
    requests.recall(20)
    around = requests.around(-9.0, before=1, after=1)
    assert (around.attempted, around.failed, around.cut_off, around.complete) == (3, 1, 1, True)
    assert around.longest_gap == 1500.0
    unknown = opened(log.path)
    unknown.recall(100)
    assert not unknown.around(-50.0, before=1, after=1).complete, "the log does not reach back so far"


def test_five_thousand_lines_a_second_are_all_counted_without_growing_memory(log: Log) -> None:
    """A minute of them, faster than real time: what is kept after the first seconds does not grow."""
    requests = opened(log.path)
    total, kept = 0, []
    second = ["".join(line(tick / 10, path=f"/a/{n}") for n in range(500)) for tick in range(10)]
    tracemalloc.start()
    for tick in range(240):
        log.write(second[tick % 10])
        if tick % 80 == 79:
            log.rotate()
        total += counted(requests.read())
        if tick in (210, 239):
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert total == 240 * 500
    assert kept[1] - kept[0] < 100_000, "what is remembered for switches is full after 20 seconds"
