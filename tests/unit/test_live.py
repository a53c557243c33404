"""The verdict on live traffic: each signal at its limit and one past it, and what holds whatever comes in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging.limits import Limit, Rule, Statistic, Unit
from gate.judging.rules import DEFAULTS
from gate.live.judge import GRACE, Judge, Standing
from gate.live.observations import (
    Blind,
    ErrorLines,
    Heard,
    HostUsed,
    Identified,
    InvariantSeen,
    Kept,
    Observation,
    Requests,
    Role,
    ServiceSeen,
    TrafficStep,
    Used,
    Wanted,
    from_row,
    to_row,
)
from gate.results import Decision

GO, HOLD, ROLLBACK = Decision.GO, Decision.HOLD, Decision.ROLLBACK
CANDIDATE, STABLE = Role.CANDIDATE, Role.STABLE
WANTED = Wanted(0.0, ("error_rate", "response_time", "services_lost"))
ROUTE = "POST /api/sales"


def requests(
    at: float, good: int, bad: int = 0, *, role: Role = CANDIDATE, ms: float = 10.0, route: str = ROUTE
) -> Requests:
    return Requests(at, role, route, good + bad, bad, milliseconds=((ms, good + bad),))


def healthy(at: float, role: Role = CANDIDATE) -> ServiceSeen:
    return ServiceSeen(at, role, "web", alive=True, healthy=True)


def usual(count: int = 1000, bad: int = 0, ms: float = 10.0) -> Requests:
    """What stable did before the watch."""
    return requests(-1.0, count - bad, bad, role=STABLE, ms=ms)


def judged(seen: Iterable[Observation], at: float, rules: Sequence[Rule] = ()) -> Standing:
    """The standing after everything was seen, asked once."""
    judge = Judge(rules)
    for item in seen:
        judge.take(item)
    return judge.standing(at)


def watched(ticks: Iterable[Sequence[Observation]], *, first: Sequence[Observation]) -> list[Standing]:
    """The standing after each tick of 0.1 s."""
    judge = Judge(())
    for item in first:
        judge.take(item)
    standings = []
    for number, tick in enumerate(ticks, 1):
        for item in tick:
            judge.take(item)
        standings.append(judge.standing(round(number * 0.1, 1)))
    return standings


def spread(first: Sequence[Observation], count: int, *, ms: float) -> Standing:
    """The standing after ``count`` requests of the candidate, one in each tick."""
    return watched([[requests(number / 10, 1, ms=ms)] for number in range(count)], first=first)[-1]


def rule(signal: str, **changed: Any) -> Rule:
    (default,) = [one for one in DEFAULTS if one.signal == signal]
    return replace(default, **changed)


CANARY = TrafficStep(0.0, 0.1, 30.0)
BAKE = TrafficStep(0.0, 1.0, 30.0)


def test_failing_requests_are_a_rollback_that_names_the_route() -> None:
    standing = judged([CANARY, usual(), requests(0.1, 20, 6)], 0.1)
    assert standing.decision is ROLLBACK
    assert standing.reasons[0].text == f"error_rate 23.1 % > 5%: 6 of 26 requests failed on {ROUTE}; stable 0 % of 1000"


def test_one_failing_request_decides_nothing() -> None:
    assert judged([CANARY, usual(), requests(0.1, 5, 1)], 0.1).decision is None


def test_enough_good_requests_end_a_canary_step_early() -> None:
    standing = judged([CANARY, WANTED, usual(), healthy(0.1), requests(0.1, 100)], 6.0)
    assert standing.decision is GO
    assert "0 of 100 requests failed" in standing.reasons[0].text


def test_fast_requests_alone_prove_nothing() -> None:
    """What takes 4 s is in nobody's log before, and 3 s are too many."""
    fast = [requests(0.1, 20, route="GET /")]
    late = [[*fast, requests(4.0, 2, ms=4000.0)] if tick >= 40 else fast for tick in range(60)]
    standings = watched(late, first=[CANARY, WANTED, usual(), healthy(0.1)])
    assert {standing.decision for standing in standings[:40]} == {None}
    assert standings[-1].decision is ROLLBACK
    assert {reason.signal for reason in standings[-1].reasons} <= {"response_time", "slower_than_stable"}


def test_the_bake_lasts_its_whole_time() -> None:
    seen: list[Observation] = [BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 5000)]
    assert judged(seen, 29.9).decision is None
    assert judged(seen, 30.0).decision is GO


@pytest.mark.parametrize("step", [CANARY, BAKE])
def test_no_traffic_is_never_a_go(step: TrafficStep) -> None:
    standing = judged([step, WANTED, usual(), healthy(0.1)], 30.0)
    assert standing.decision is HOLD
    assert "too little traffic: 0 requests reached the candidate" in standing.reasons[0].text


def test_too_little_traffic_says_how_much_is_needed() -> None:
    standing = judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 12)], 30.0)
    assert standing.decision is HOLD
    assert "12 requests reached the candidate, about 88 more are needed" in standing.reasons[0].text


def test_a_canary_that_looks_good_goes_on_without_the_whole_proof() -> None:
    seen: list[Observation] = [WANTED, usual(), healthy(0.1), requests(0.1, 148, 2)]
    assert judged([CANARY, *seen], 30.0).decision is GO
    assert judged([BAKE, *seen], 30.0).decision is HOLD


def test_between_the_limits_at_the_end_is_a_hold() -> None:
    standing = judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 9780, 220)], 30.0)
    assert standing.decision is HOLD
    assert "error_rate 2.2 %, wanted <= 1%: 220 of 10000 requests failed" in standing.reasons[0].text


def test_twice_stables_own_rate_is_healthy() -> None:
    seen: list[Observation] = [WANTED, healthy(0.1), requests(0.1, 9800, 200)]
    assert judged([BAKE, usual(10_000, 100), *seen], 30.0).decision is GO


def test_both_bad_at_once_is_nobodys_fault() -> None:
    standing = judged([CANARY, usual(), requests(0.1, 20, 6), requests(0.1, 60, 20, role=STABLE)], 0.1)
    assert standing.decision is HOLD
    assert "stable is bad at the same time" in standing.reasons[0].text


def test_a_stable_that_ails_without_traffic_excuses_the_candidate_too() -> None:
    ailing = ServiceSeen(0.1, STABLE, "web", alive=True, healthy=False, detail="/ready answers 503")
    assert judged([BAKE, usual(), requests(0.1, 20, 6)], 0.1).decision is ROLLBACK
    assert judged([BAKE, usual(), requests(0.1, 20, 6), ailing], 0.1).decision is HOLD


def test_a_route_that_fails_alone_is_found_in_the_crowd() -> None:
    crowd: list[Observation] = [requests(0.1, 2000, route="GET /"), requests(0.1, 10, 8, route="POST /api/refunds")]
    standing = judged([CANARY, usual(), *crowd], 0.1)
    assert standing.decision is ROLLBACK
    assert "8 of 18 requests failed on POST /api/refunds" in standing.reasons[0].text


def test_requests_beyond_the_limit_are_a_rollback_from_twenty_on() -> None:
    assert spread([CANARY, usual(ms=3000.0)], 19, ms=3001.0).decision is None
    standing = spread([CANARY, usual(ms=3000.0)], 20, ms=3001.0)
    assert standing.decision is ROLLBACK
    assert "response_time 3.00 s > 3 s: 20 of 20 requests took longer" in standing.reasons[0].text
    assert spread([CANARY, usual(ms=3000.0)], 20, ms=3000.0).decision is None


@pytest.mark.parametrize("first", [[CANARY, usual()], [BAKE, usual()]])
def test_a_moment_in_which_everything_stood_still_is_no_fault(first: Sequence[Observation]) -> None:
    """A hundred requests wait for the same disk, and all end at once when it answers."""
    still = [[requests(1.0, 25, ms=4000.0)] for _ in range(4)]
    assert [standing.decision for standing in watched(still, first=first)] == [None] * 4
    assert watched([*still, [requests(1.5, 1, ms=4000.0)]], first=first)[-1].decision is ROLLBACK, "and again"


def test_what_slows_both_releases_at_once_blames_nobody() -> None:
    """A busy disk: in every third second all requests take long, whoever answers them."""
    random = Random(3)
    ticks = []
    for number in range(300):
        long = (number // 10) % 3 == 0
        row = [requests(number / 10, random.randrange(1, 4), role=role, ms=400.0 if long else 12.0) for role in Role]
        ticks.append(row)
    standings = watched(ticks, first=[TrafficStep(0.0, 0.5, 30.0), usual()])
    assert {standing.decision for standing in standings} <= {None, GO, HOLD}
    alone = [[item if item.role is CANDIDATE else requests(item.at, 2, role=STABLE) for item in row] for row in ticks]
    found = watched(alone, first=[TrafficStep(0.0, 0.5, 30.0), usual()])
    assert any(standing.decision is ROLLBACK for standing in found), "the candidate alone is to blame"


def test_a_percentile_between_the_limits_is_a_hold_at_the_end() -> None:
    seen: list[Observation] = [BAKE, WANTED, usual(ms=1100.0), healthy(0.1)]
    standing = judged([*seen, requests(0.1, 5000, ms=1100.0)], 30.0)
    assert standing.decision is HOLD
    assert "response_time 1.10 s, wanted < 1 s" in standing.reasons[0].text
    assert judged([*seen, requests(0.1, 5000, ms=990.0)], 30.0).decision is GO


def test_much_slower_than_stable_at_the_same_time_is_a_rollback() -> None:
    standing = spread([CANARY, usual(ms=10.0)], 40, ms=150.0)
    assert standing.decision is ROLLBACK
    assert standing.reasons[0].signal == "slower_than_stable"
    assert spread([CANARY, usual(ms=80.0)], 40, ms=150.0).decision is None, "not twice as slow, nor 100 ms more"
    assert spread([BAKE, usual(ms=10.0)], 40, ms=150.0).decision is None, "alone it may be the load"


def test_clients_that_give_up_waiting_are_a_rollback() -> None:
    """A route that hangs answers nobody: all the proxy ever notes is that the client left."""
    left = Requests(0.1, CANDIDATE, ROUTE, 12, 0, gone=12, milliseconds=((10.0, 12),))
    standing = judged([CANARY, usual(), left], 0.1)
    assert standing.decision is ROLLBACK
    assert standing.reasons[0].signal == "gone_rate"
    assert judged([CANARY, usual(), replace(left, gone=1)], 0.1).decision is None


@pytest.mark.parametrize(("cpu", "decision"), [(0.91, ROLLBACK), (0.9, None), (0.69, None)])
def test_cpu_is_the_lowest_of_three_samples_in_a_row(cpu: float, decision: Decision | None) -> None:
    samples: list[Observation] = [Used(at, CANDIDATE, "web", cpu=cpu, memory=0.1) for at in (1.0, 2.0, 3.0)]
    assert judged([BAKE, *samples], 3.0).decision is decision
    assert judged([BAKE, *samples[:2]], 3.0).decision is None
    assert judged([BAKE, *samples[:2], Used(3.0, CANDIDATE, "web", 0.2, 0.1)], 3.0).decision is None


def test_resources_between_the_limits_are_a_hold_at_the_end() -> None:
    samples: list[Observation] = [Used(at, CANDIDATE, "web", cpu=0.1, memory=0.7) for at in (1.0, 2.0, 3.0)]
    standing = judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 200), *samples], 30.0)
    assert standing.decision is HOLD
    assert [item.signal for item in standing.reasons] == ["memory"]


def test_too_few_samples_of_a_resource_say_so() -> None:
    """A figure within its limit that is held for nothing would puzzle whoever has to decide."""
    samples: list[Observation] = [Used(at, CANDIDATE, "web", cpu=0.1, memory=0.1) for at in (1.0, 2.0)]
    standing = judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 200), *samples], 30.0)
    assert standing.decision is HOLD
    told = {item.signal: (item.text, item.limit, item.n) for item in standing.reasons}
    assert told["cpu"] == ("cpu: too few samples: 2 of web, 3 in a row are needed", "n >= 3", 2)


def test_resources_that_stable_uses_as_well_are_not_the_candidates_fault() -> None:
    both: list[Observation] = [Used(at, role, "web", cpu=0.1, memory=0.95) for at in (1.0, 2.0, 3.0) for role in Role]
    assert judged([BAKE, *both], 3.0).decision is HOLD


@pytest.mark.parametrize(
    ("seen", "decision", "text"),
    [
        (InvariantSeen(0.1, "stock", 2), ROLLBACK, "stock is broken by 2 rows"),
        (Identified(0.1, "1.1.0", "1.0.0"), ROLLBACK, "1.0.0 answered, expected 1.1.0"),
        (ServiceSeen(0.1, CANDIDATE, "web", alive=False, healthy=False), ROLLBACK, "web is not healthy"),
        (ServiceSeen(0.1, STABLE, "web", alive=False, healthy=False), HOLD, "stable: web"),
        (HostUsed(0.1, 0.901), ROLLBACK, "disk 90.1 % > 90%"),
    ],
)
def test_one_look_that_decides(seen: Observation, decision: Decision, text: str) -> None:
    standing = judged([BAKE, seen], 0.1)
    assert standing.decision is decision
    assert text in standing.reasons[0].text


@pytest.mark.parametrize(
    "seen",
    [
        ErrorLines(0.1, CANDIDATE, "web", 1, "boom"),
        ErrorLines(0.1, STABLE, "web", 5, "boom"),
        InvariantSeen(0.1, "stock", 0),
        Identified(0.1, "1.1.0", "1.1.0"),
        ServiceSeen(0.1, CANDIDATE, "web", alive=True, healthy=False, detail="/ready answers 503"),
        HostUsed(0.1, 0.9),
    ],
)
def test_one_look_that_decides_nothing(seen: Observation) -> None:
    assert judged([BAKE, seen], 0.1).decision is None


def test_a_service_that_stays_unhealthy_is_lost_at_the_third_look() -> None:
    looks: list[Observation] = [
        ServiceSeen(at, CANDIDATE, "web", alive=True, healthy=False, detail="no answer") for at in (1.0, 2.0, 3.0)
    ]
    assert judged([BAKE, *looks[:2]], 2.0).decision is None
    assert judged([BAKE, looks[0], healthy(2.0), looks[2]], 3.0).decision is None
    assert judged([BAKE, *looks], 3.0).decision is ROLLBACK


def test_error_lines_are_held_against_the_requests_they_come_with() -> None:
    seen: list[Observation] = [CANARY, usual(), requests(0.1, 20), ErrorLines(0.1, CANDIDATE, "web", 6, "boom")]
    standing = judged(seen, 0.1)
    assert standing.decision is ROLLBACK
    text = "log_error_rate 30 % > 5%: 6 error lines in 20 requests; stable 0 % of 0; the first: boom"
    assert standing.reasons[0].text == text.replace("; stable 0 % of 0", "")
    assert judged([*seen[:-1], ErrorLines(0.1, CANDIDATE, "web", 1, "boom")], 0.1).decision is None


def test_what_is_written_at_once_without_a_request_counts_as_one() -> None:
    assert judged([CANARY, usual(), ErrorLines(0.1, CANDIDATE, "worker", 50, "boom")], 0.1).decision is None


def test_errors_in_both_logs_are_a_hold() -> None:
    lines: list[Observation] = [ErrorLines(0.1, role, "web", 20, "database is gone") for role in Role]
    both: list[Observation] = [requests(0.1, 20), requests(0.1, 20, role=STABLE)]
    assert judged([CANARY, *both, *lines], 0.1).decision is None
    assert judged([CANARY, *both, *lines], CANARY.seconds).decision is HOLD


def test_a_signal_nobody_can_read_four_times_in_a_row_is_a_hold() -> None:
    blind: list[Observation] = [Blind(float(at), "cpu", "no such process") for at in (1, 2, 3, 4)]
    assert judged([BAKE, *blind[:3]], 3.0).decision is None
    assert judged([BAKE, *blind[:3], Used(3.5, CANDIDATE, "web", 0.1, 0.1), blind[3]], 4.0).decision is None
    assert judged([BAKE, *blind], 4.0).decision is HOLD


@pytest.mark.parametrize(
    "signal", ["error_rate", "cpu", "services_lost", "invariants_broken", "wrong_identity", "disk"]
)
def test_a_wanted_signal_that_was_never_measured_is_a_hold(signal: str) -> None:
    seen: list[Observation] = [BAKE, Wanted(0.0, (signal,)), usual()]
    if signal != "error_rate":
        seen.append(requests(0.1, 500))
    standing = judged(seen, 30.0 + GRACE)
    assert standing.decision is HOLD
    assert any(item.signal == signal for item in standing.reasons)


def test_a_step_waits_for_a_look_that_takes_longer() -> None:
    """A look at a large table may take longer than a short step: that is no reason to hold a release."""
    wanted = replace(WANTED, signals=(*WANTED.signals, "invariants_broken"))
    seen: list[Observation] = [BAKE, wanted, usual(), healthy(0.1), requests(0.1, 5000)]
    late = 30.0 + GRACE - 0.1
    assert judged(seen, late).decision is None
    assert judged([*seen, InvariantSeen(late, "stock", 0)], late).decision is GO
    assert judged([*seen, InvariantSeen(late, "stock", 1)], late).decision is ROLLBACK
    assert judged(seen, late + 0.1).decision is HOLD


def test_a_step_does_not_wait_for_a_look_where_it_is_held_anyway() -> None:
    wanted = replace(WANTED, signals=(*WANTED.signals, "invariants_broken"))
    assert judged([BAKE, wanted, usual(), healthy(0.1), requests(0.1, 12)], 30.0).decision is HOLD


def test_a_dry_run_rule_only_tells() -> None:
    dry = [rule("invariants_broken", dry_run=True)]
    seen: list[Observation] = [BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 500), InvariantSeen(0.1, "stock", 3)]
    assert judged(seen, 30.0).decision is ROLLBACK
    assert judged(seen, 30.0, dry).decision is GO


def test_a_plain_share_needs_its_samples() -> None:
    plain = [rule("error_rate", statistic=Statistic.SHARE)]
    assert judged([BAKE, usual(), requests(0.1, 60, 39)], 0.1, plain).decision is None
    assert judged([BAKE, usual(), requests(0.1, 95, 5)], 0.1, plain).decision is None
    assert judged([BAKE, usual(), requests(0.1, 94, 6)], 0.1, plain).decision is ROLLBACK


def test_limits_of_the_environment_replace_the_defaults() -> None:
    strict = [rule("services_lost", rollback=Limit.parse("> 1", Unit.COUNT))]
    lost = ServiceSeen(0.1, CANDIDATE, "web", alive=False, healthy=False)
    assert judged([BAKE, lost], 0.1, strict).decision is HOLD


def test_a_fault_that_starts_late_is_found_in_the_bake() -> None:
    good = [[requests(n / 10, 10)] for n in range(1, 300)]
    bad = [[requests(n / 10, 8, 2)] for n in range(300, 320)]
    standings = watched([*good, *bad], first=[TrafficStep(0.0, 1.0, 120.0), usual()])
    assert {standing.decision for standing in standings[:299]} == {None}
    decided = next(number for number, standing in enumerate(standings) if standing.decision is ROLLBACK)
    assert decided - 299 < 6, "within 60 requests"
    assert "of the last" in standings[decided].reasons[0].text


counts = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=40)


@given(counts, st.integers(0, 39))
def test_more_failures_never_improve_the_verdict(ticks: list[tuple[int, int]], where: int) -> None:
    """One good request that fails instead leaves the decision as it is or makes it worse, at every moment."""
    order = [None, ROLLBACK]

    def decisions(seen: list[tuple[int, int]]) -> list[Decision | None]:
        rows = [[requests((n + 1) / 10, good, bad)] for n, (good, bad) in enumerate(seen)]
        return [standing.decision for standing in watched(rows, first=[BAKE, usual()])]

    where %= len(ticks)
    good, bad = ticks[where]
    worse = [*ticks[:where], (max(0, good - 1), bad + 1), *ticks[where + 1 :]]
    before, after = decisions(ticks), decisions(worse)
    assert all(order.index(now) >= order.index(then) for then, now in zip(before, after, strict=True))


@given(counts, st.randoms())
def test_the_order_within_a_tick_does_not_matter(ticks: list[tuple[int, int]], chance: Random) -> None:
    rows: list[Observation] = [
        requests(0.1, good, bad, route=f"GET /{number % 3}", role=CANDIDATE if number % 2 else STABLE)
        for number, (good, bad) in enumerate(ticks)
    ]
    mixed = list(rows)
    chance.shuffle(mixed)
    first: list[Observation] = [CANARY, usual()]
    # Routes share what may go wrong by order of appearance: they have appeared before.
    known: list[Observation] = [requests(0.05, 1, route=f"GET /{number}") for number in range(3)]
    one, other = judged([*first, *known, *rows], 0.1), judged([*first, *known, *mixed], 0.1)
    assert one.decision is other.decision


@given(st.lists(st.sampled_from(["healthy", "dead", "lines", "blind", "disk"]), max_size=12))
def test_the_worst_wins_and_nothing_measured_is_never_go(kinds: list[str]) -> None:
    made: dict[str, Observation] = {
        "healthy": healthy(0.1),
        "dead": ServiceSeen(0.1, CANDIDATE, "worker", alive=False, healthy=False),
        "lines": InvariantSeen(0.1, "stock", 1),
        "blind": Blind(0.1, "cpu", "unreadable"),
        "disk": HostUsed(0.1, 0.5),
    }
    standing = judged([BAKE, WANTED, *(made[kind] for kind in kinds)], 30.0)
    assert standing.decision is not GO, "no request was ever seen"
    assert (standing.decision is ROLLBACK) == bool({"dead", "lines"} & set(kinds))


@pytest.mark.parametrize(
    "seen",
    [
        CANARY,
        WANTED,
        Requests(0.1, CANDIDATE, ROUTE, 7, 1, 2, ((1.5, 3), (20.0, 4)), synthetic=True),
        healthy(0.1),
        Used(0.1, STABLE, "web", None, 0.25),
        HostUsed(0.1, 0.5),
        ErrorLines(0.1, CANDIDATE, "web", 1, "boom"),
        InvariantSeen(0.1, "stock", 2),
        Identified(0.1, "1.1.0", "1.0.0"),
        Blind(0.1, "cpu", "unreadable"),
    ],
)
def test_an_observation_comes_back_from_its_row(seen: Observation) -> None:
    assert from_row(to_row(seen)) == seen


@pytest.mark.parametrize("row", [[], ["moon", 1], ["host"], ["host", 1, 2, 3], ["used", 1, "nobody", "web", 1, 1]])
def test_what_is_no_observation_is_refused(row: list[object]) -> None:
    with pytest.raises(ValueError, match="is no observation"):
        from_row(row)


@pytest.mark.parametrize(("stable_bad", "share"), [(250, 0.40), (100, 0.15), (20, 0.10)])
def test_beyond_the_limit_is_no_go_however_bad_stable_is(stable_bad: int, share: float) -> None:
    """A release that replaces a broken one is not to blame for as much, and is not called good either."""
    seen: list[Observation] = [BAKE, WANTED, usual(1000, stable_bad), healthy(0.1)]
    bad = round(20 * share)
    seen += [requests(number / 10, 20 - bad, bad) for number in range(1, 300)]
    standing = judged(seen, 30.0)
    assert standing.decision in (HOLD, ROLLBACK)
    assert "within" not in standing.reasons[0].text


def test_a_go_above_the_limit_says_so() -> None:
    """Stable fails 3 % for years: a release that does so too is kept, and nobody reads that it is within 1 %."""
    seen: list[Observation] = [BAKE, WANTED, usual(3000, 90), healthy(0.1)]
    seen += [requests(number / 10, 97, 3) for number in range(1, 300)]
    standing = judged(seen, 30.0)
    assert standing.decision is GO
    text = standing.reasons[0].text
    assert text.startswith("error_rate 3 %, ")
    assert "above that limit, yet no worse than twice stable's share" in text


def test_a_route_that_stable_fails_on_as_well_is_no_rollback() -> None:
    """Few requests, a third of them failing on both releases: too little to tell, enough not to blame."""
    pay = "POST /pay"
    first: list[Observation] = [CANARY, usual(), requests(-5.0, 62, 28, role=STABLE, route=pay)]
    ticks: list[list[Observation]] = [[requests(number / 10, 6)] for number in range(1, 200)]
    for number in (20, 60, 100, 140):
        ticks[number].append(requests(number / 10, 0, 1, route=pay))
    assert ROLLBACK not in {standing.decision for standing in watched(ticks, first=first)}
    first[2] = requests(-5.0, 90, 0, role=STABLE, route=pay)
    assert watched(ticks, first=first)[-1].decision is ROLLBACK


def test_a_clock_that_is_set_back_launders_nothing() -> None:
    """New lines look old then: the candidate's own failures must not become what stable is known for."""
    judge = Judge(())
    for item in (BAKE, WANTED, usual(), healthy(0.1)):
        judge.take(item)
    for number in range(1, 20):
        judge.take(requests(-140.0 + number / 10, 5, 5))
    assert judge.standing(2.0).decision is ROLLBACK


@pytest.mark.parametrize(("read_at", "decision"), [(0.0, None), (25.0, GO)])
def test_a_log_that_was_read_before_a_step_says_nothing_about_it(read_at: float, decision: Decision | None) -> None:
    wanted = Wanted(0.0, ("error_rate", "log_error_rate"))
    judge = Judge(())
    for item in (TrafficStep(0.0, 0.5, 20.0), wanted, usual(), ErrorLines(read_at, CANDIDATE, "web", 0)):
        judge.take(item)
    judge.take(TrafficStep(20.0, 1.0, 30.0))
    judge.take(requests(20.1, 5000))
    judge.take(ErrorLines(read_at, CANDIDATE, "web", 0))
    assert judge.standing(50.0).decision is decision
    if decision is None:  # a look that is on its way is waited for, and no longer
        (told,) = judge.standing(50.0 + GRACE).reasons
        assert (told.decision, told.text) == (HOLD, "log_error_rate: was not measured")


def test_a_rule_on_dry_run_says_what_it_would_have_done() -> None:
    rules = [rule(signal, dry_run=True) for signal in ("services_lost", "invariants_broken")]
    wanted = Wanted(0.0, ("error_rate", "services_lost", "invariants_broken"))
    seen: list[Observation] = [BAKE, wanted, usual(), requests(0.1, 500)]
    seen += [
        ServiceSeen(0.1, CANDIDATE, "worker", alive=False, healthy=False, detail="has ended"),
        InvariantSeen(0.1, "stock", 7),
    ]
    standing = judged(seen, 30.0, rules)
    told = {item.signal: item.text for item in standing.reasons}
    assert told["services_lost"].startswith("dry run, would be ROLLBACK: services_lost 1")
    assert told["invariants_broken"].startswith("dry run, would be ROLLBACK: invariants_broken 1")
    silent = judged([BAKE, wanted, usual(), requests(0.1, 500)], 30.0, rules)
    assert "dry run, would be HOLD: services_lost: was not measured" in {item.text for item in silent.reasons}


def test_a_slow_route_is_not_hidden_by_the_quick_ones() -> None:
    slow = requests(0.1, 30, ms=1500, route="GET /report")
    standing = judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 1000), slow], 30.0)
    assert standing.decision is HOLD
    text = "response_time 1.50 s, wanted < 1 s: 95th percentile of 30 requests on GET /report"
    assert [item.text for item in standing.reasons] == [text]


def test_a_route_that_is_slow_on_stable_is_not_this_release_s_doing() -> None:
    known = requests(-1.0, 100, role=STABLE, ms=1500, route="GET /report")
    slow = requests(0.1, 30, ms=1500, route="GET /report")
    assert judged([BAKE, WANTED, usual(), known, healthy(0.1), requests(0.1, 1000), slow], 30.0).decision is GO


@pytest.mark.parametrize(("measured", "decision"), [(("web", "worker"), GO), (("web",), HOLD)])
def test_resources_are_owed_for_every_service(measured: tuple[str, ...], decision: Decision) -> None:
    wanted = replace(WANTED, signals=(*WANTED.signals, "cpu"), services=("web", "worker"))
    used = [Used(at, CANDIDATE, name, 0.1, 0.1) for at in (0.1, 1.1, 2.1) for name in measured]
    seen: list[Observation] = [BAKE, wanted, usual(), healthy(0.1), requests(0.1, 5000), *used]
    standing = judged(seen, 30.0 + GRACE)
    assert standing.decision is decision
    assert decision is GO or standing.reasons[0].text == "cpu: was not measured"


def test_a_log_of_stable_that_is_read_again_is_not_blind() -> None:
    """Four reads that failed in an hour are not four in a row."""
    seen: list[Observation] = [BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 5000)]
    for number in range(8):
        seen += [Blind(number / 10, "log_error_rate", "stable: away", STABLE)]
        seen += [ErrorLines(number / 10, STABLE, "web", 0)] if number % 3 == 2 else []
    assert judged(seen, 30.0).decision is GO
    assert (
        judged([*seen, *(Blind(9.0, "log_error_rate", "stable: away", STABLE) for _ in range(4))], 30).decision is HOLD
    )


@pytest.mark.parametrize("signal", ["gone_rate", "slower_than_stable", "error_rate"])
def test_what_a_rule_on_dry_run_found_is_told(signal: str) -> None:
    bad = {
        "gone_rate": replace(requests(0.1, 150), gone=100),
        "slower_than_stable": requests(0.1, 100, ms=500),
        "error_rate": requests(0.1, 110, 40),
    }[signal]
    step = replace(CANARY, seconds=1.0)
    judge = Judge([rule(signal, dry_run=True)])
    for item in (step, WANTED, usual(), healthy(0.1)):
        judge.take(item)
    for number in range(5):
        judge.take(replace(bad, at=number / 10))
        judge.standing(number / 10)
    standing = judge.standing(1.0)
    told = next(item.text for item in standing.reasons if item.signal == signal)
    assert standing.decision is GO
    assert told.startswith(f"dry run, would be ROLLBACK: {signal}"), told
    assert "stable is bad" not in told


def test_too_few_failures_to_prove_do_not_blame_stable() -> None:
    standing = judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 97, 6)], 30.0)
    assert standing.decision in (HOLD, ROLLBACK)
    assert "stable is bad" not in standing.reasons[0].text


def background(per_second: float, candidate: float) -> Iterable[Sequence[Observation]]:
    """Half a minute of a 10 % canary at 100 requests a second, with a worker on both releases that writes error lines
    whatever the traffic is: so many a second on stable, and on the candidate."""
    random = Random(7)
    for number in range(300):
        tick: list[Observation] = [requests(number / 10, 9, role=STABLE)]
        tick += [requests(number / 10, 1)] if random.random() < 0.95 else []
        for role, often in ((STABLE, per_second), (CANDIDATE, candidate)):
            tick += [ErrorLines(number / 10, role, "worker", 1)] if number % round(10 / often) == 0 else []
        yield tick


QUIET_LOGS = [ErrorLines(0.0, role, "worker", 0) for role in Role]


@pytest.mark.parametrize("per_second", [0.2, 0.5, 1.0, 2.0])
def test_a_worker_s_error_lines_come_with_time_not_with_traffic(per_second: float) -> None:
    standings = watched(background(per_second, per_second), first=[CANARY, usual(), *QUIET_LOGS])
    assert not [standing for standing in standings if standing.decision is ROLLBACK]


def test_a_candidate_that_writes_many_more_of_them_is_rolled_back() -> None:
    standings = watched(background(1.0, 10.0), first=[CANARY, usual(), *QUIET_LOGS])
    assert any(standing.decision is ROLLBACK for standing in standings)


def test_the_last_step_owes_requests_of_its_own() -> None:
    """A fault may start late: what the canary answered does not prove it away."""
    canary: list[Observation] = [CANARY, WANTED, usual(), healthy(0.1), requests(0.1, 5000)]
    bake = TrafficStep(31.0, 1.0, 30.0)
    standing = judged([*canary, bake, healthy(31.1), requests(31.1, 1)], 61.0)
    assert standing.decision is HOLD
    assert "1 request reached the candidate with all the traffic, about 99 more" in standing.reasons[0].text
    assert judged([*canary, bake, healthy(31.1), requests(31.1, 100)], 61.0).decision is GO


def test_a_bake_wants_traffic_of_its_own() -> None:
    judge = Judge(())
    canary: list[Observation] = [CANARY, WANTED, usual(), healthy(0.1), requests(0.1, 5000)]
    for item in canary:
        judge.take(item)
    judge.standing(0.1)
    assert judge.needed == 0
    judge.take(TrafficStep(31.0, 1.0, 30.0))
    assert judge.needed == 100
    assert judge.undecided


def test_a_rare_route_that_always_fails_is_not_lost_in_the_whole() -> None:
    rest = [requests(0.1, 400, route=f"GET /{number}") for number in range(30)]
    known = requests(-1.0, 50, role=STABLE, route="POST /checkout")
    seen: list[Observation] = [BAKE, WANTED, usual(), known, healthy(0.1), *rest]
    standing = judged([*seen, requests(0.1, 0, 3, route="POST /checkout")], 30.0)
    assert standing.decision is HOLD
    assert "3 of 3 requests failed on POST /checkout; stable 0 % of 50" in standing.reasons[0].text
    assert judged([*seen, requests(0.1, 0, 1, route="POST /checkout")], 30.0).decision is GO, "one may be chance"


def test_clients_that_give_up_more_than_go_allows_hold_it() -> None:
    seen: list[Observation] = [BAKE, WANTED, usual(), healthy(0.1), replace(requests(0.1, 1000), gone=100)]
    standing = judged(seen, 30.0)
    assert standing.decision is HOLD
    assert standing.reasons[0].text.startswith("gone_rate 9.09 %, wanted <= 5%: 100 of 1100 requests were given up")


def test_a_canary_slower_than_stable_beyond_go_is_held() -> None:
    step = TrafficStep(0.0, 0.5, 1.0)
    slow = [requests(0.1, 750), requests(0.1, 250, ms=900)]
    standing = judged([step, WANTED, usual(), healthy(0.1), *slow], 1.0)
    assert standing.decision is HOLD
    assert any(item.signal == "slower_than_stable" and item.decision is HOLD for item in standing.reasons)


def test_a_clock_that_is_set_forward_measures_nothing_ahead() -> None:
    seen: list[Observation] = [CANARY, WANTED, usual(), requests(3600.0, 5000)]
    judge = Judge(())
    for item in seen:
        judge.take(item)
    judge.standing(1.0)
    judge.take(TrafficStep(31.0, 1.0, 30.0))
    judge.take(healthy(31.1))
    assert judge.standing(61.0).decision is HOLD


def test_two_slow_requests_of_twenty_are_no_slow_route() -> None:
    few = [requests(0.1, 18, route="GET /report"), requests(0.1, 2, ms=1500, route="GET /report")]
    assert judged([BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 1000), *few], 30.0).decision is GO


def test_what_a_person_knows_of_does_not_hold_the_next_step() -> None:
    blind = [Blind(number / 10, "disk", "gone") for number in range(1, 5)]
    first: list[Observation] = [CANARY, WANTED, usual(), healthy(0.1), requests(0.1, 500), *blind]
    assert judged(first, 0.5).decision is HOLD
    bake: list[Observation] = [TrafficStep(31.0, 1.0, 30.0), healthy(31.1), requests(31.1, 500)]
    assert judged([*first, *bake], 31.2).decision is HOLD
    assert judged([*first, Kept(0.6), *bake], 31.2).decision is None
    assert judged([*first, Kept(0.6), *bake], 61.0).decision is GO


def test_a_signal_whose_last_look_was_in_vain_is_not_a_go() -> None:
    wanted = replace(WANTED, signals=(*WANTED.signals, "disk"))
    seen: list[Observation] = [BAKE, wanted, usual(), healthy(0.1), requests(0.1, 5000), HostUsed(0.1, 0.1)]
    seen.append(Blind(29.0, "disk", "gone"))
    assert judged(seen, 30.0).decision is None, "it is looked at again"
    assert judged(seen, 30.0 + GRACE).decision is HOLD
    assert judged([*seen, HostUsed(31.0, 0.1)], 31.0).decision is GO


def test_a_log_that_is_silent_is_not_a_go_and_one_that_grows_again_is() -> None:
    judge = Judge(())
    seen: list[Observation] = [BAKE, WANTED, usual(), healthy(0.1), requests(0.1, 5000)]
    for item in seen:
        judge.take(item)
    assert judge.standing(0.2).decision is None
    judge.take(Blind(29.0, "error_rate", "the log does not show a request"))
    assert judge.standing(30.0).decision is None
    assert judge.standing(30.0 + GRACE).decision is HOLD
    judge.take(Heard(31.0))
    assert judge.standing(31.0).decision is GO
