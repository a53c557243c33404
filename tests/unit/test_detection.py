"""The test of one signal: what it says at its bounds, and that it errs no more often than it promises."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.judging.detection import ALPHA, BETA, FLOOR, Stream, faults, share_of, tolerated

Tick = tuple[int, int]
TICKS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30)
SHARES = st.floats(0.001, 1)


def fed(ticks: Iterable[Tick], p0: float = FLOOR, **options: float) -> Stream:
    stream = Stream(**options)
    for bad, good in ticks:
        stream.add(bad, good, p0)
    return stream


def test_nothing_seen_decides_nothing() -> None:
    for stream in (Stream(), fed([(0, 0)] * 100)):
        assert (stream.rejected, stream.accepted) == (False, False)
        assert stream.evidence_bad == pytest.approx(0)
        assert stream.evidence_good == 0
        assert (stream.requests, stream.bad) == (0, 0)


def test_bounds_are_the_error_rates() -> None:
    stream = Stream()
    assert math.exp(-stream.bound_bad) == pytest.approx(ALPHA)
    assert math.exp(-stream.bound_good) == pytest.approx(BETA)


def test_accepts_at_its_bound_and_not_one_before() -> None:
    needed = math.ceil(math.log(1 / BETA) / math.log(0.99 / 0.95))
    assert needed == 95
    assert Stream().needed_clean(FLOOR) == needed
    before = fed([(0, needed - 1)])
    assert (before.accepted, before.needed_clean(FLOOR)) == (False, 1)
    at = fed([(0, needed)])
    assert (at.accepted, at.needed_clean(FLOOR), at.rejected) == (True, 0, False)


def test_rejects_at_its_bound_and_not_one_before() -> None:
    assert not fed([(1, 0)] * 2).rejected
    assert fed([(1, 0)] * 3).rejected, "three failures in a row are no chance at 1 % tolerated"
    # With this alpha three failures reach the bound exactly; with any smaller one they do not.
    reached = math.exp(-fed([(1, 0)] * 3).evidence_bad)
    assert fed([(1, 0)] * 3, alpha=reached * (1 + 1e-9)).rejected
    assert not fed([(1, 0)] * 3, alpha=reached * (1 - 1e-9)).rejected


def test_one_failure_of_a_handful_is_no_fault() -> None:
    stream = fed([(1, 0), (0, 9)])
    assert not stream.rejected
    assert not stream.accepted


def test_a_small_example_by_hand() -> None:
    """One tick with one bad request: half of 1 was bet, and a bit of the rest with the first tick of a step."""
    bet = 0.5 + 0.5 * 0.25 / 2 / 300
    gains = [size / FLOOR for size in faults(FLOOR, 0.05)]
    worth = bet * (0.2 * gains[0] + 0.6 * gains[1] + 0.2 * gains[2]) + (1 - bet)
    assert fed([(1, 0)]).evidence_bad == pytest.approx(math.log(worth))
    assert fed([(1, 0)]).evidence_good == pytest.approx(math.log(0.01 / 0.05))


@pytest.mark.parametrize("p0", [0.01, 0.3])
def test_the_bets_are_fair_while_exactly_what_is_tolerated_happens(p0: float) -> None:
    """What they are worth is 1 on average over all that may happen, whenever steps begin: Ville needs no more."""
    mean = 0.0
    for requests in itertools.product((1, 0), repeat=10):
        stream = Stream()
        for number, bad in enumerate(requests):
            if number == 3:
                stream.begin_step(2)  # shorter than what follows: it goes on by itself
            if number == 7:
                stream.begin_bake(20)
            stream.add(bad, 1 - bad, p0)
        mean += p0 ** sum(requests) * (1 - p0) ** (10 - sum(requests)) * math.exp(stream.evidence_bad)
    assert mean == pytest.approx(1)


def test_rejection_stays() -> None:
    stream = fed([(5, 0), (0, 5000)])
    assert stream.evidence_bad < stream.bound_bad
    assert stream.rejected
    assert stream.evidence_good >= stream.bound_good
    assert not stream.accepted
    assert stream.needed_clean(FLOOR) is None


def test_acceptance_does_not_stay() -> None:
    stream = fed([(0, 100)])
    assert stream.accepted
    stream.add(1, 0, FLOOR)
    assert not stream.accepted


def test_no_credit_for_a_long_clean_past() -> None:
    """However long it was clean: three failures among ten are enough to no longer accept it."""
    stream = fed([(0, 10)] * 10_000)
    assert stream.accepted
    stream.add(3, 7, FLOOR)
    assert not stream.accepted


@pytest.mark.parametrize("begin", [Stream.begin_step, Stream.begin_bake, None])
@pytest.mark.parametrize("clean", [50, 1150, 30_000])
def test_a_fault_that_starts_late_is_found(begin: Callable[[Stream, int], None] | None, clean: int) -> None:
    """Within a step, at its end, and long after the time it was said to take."""
    stream = fed([(0, 10)] * 100)
    if begin is not None:
        begin(stream, 1200)
    for _ in range(clean):
        stream.add(0, 10, FLOOR)
    for _ in range(12):
        stream.add(2, 8, FLOOR)
    assert stream.rejected


def test_a_fault_that_comes_with_the_bake_is_found_sooner_than_one_within_it() -> None:
    def failures(clean: int) -> int:
        stream = fed([(0, 10)] * 100)
        stream.begin_bake(1200)
        for _ in range(clean):
            stream.add(0, 10, FLOOR)
        while not stream.rejected:
            stream.add(1, 4, FLOOR)
        return stream.bad

    assert failures(0) < failures(300)


@given(TICKS, st.data(), SHARES)
def test_a_failure_more_never_looks_better(ticks: list[Tick], data: st.DataObject, p0: float) -> None:
    with_good = [number for number, (_, good) in enumerate(ticks) if good]
    if not with_good:
        return
    worse = list(ticks)
    number = data.draw(st.sampled_from(with_good))
    worse[number] = (ticks[number][0] + 1, ticks[number][1] - 1)
    one, other = fed(ticks, p0), fed(worse, p0)
    assert other.evidence_bad >= one.evidence_bad - 1e-9
    assert other.evidence_good <= one.evidence_good + 1e-9
    assert other.rejected or not one.rejected
    assert one.accepted or not other.accepted


@given(st.lists(st.integers(0, 5), max_size=8), st.randoms())
def test_the_order_of_what_speaks_for_it_does_not_matter(bads: list[int], shuffle: random.Random) -> None:
    """While nothing is saved up to its limit. What speaks against it knows when: failures may begin at any time."""
    ticks = [(bad, 10 - bad) for bad in bads]
    shuffled = list(ticks)
    shuffle.shuffle(shuffled)
    one, other = fed(ticks), fed(shuffled)
    assert one.evidence_good == pytest.approx(other.evidence_good)
    assert (one.requests, one.bad) == (other.requests, other.bad)


@given(TICKS)
def test_what_decides_stands_in_the_figures(ticks: list[Tick]) -> None:
    stream = Stream()
    highest = 0.0
    for bad, good in ticks:
        stream.add(bad, good, FLOOR)
        highest = max(highest, stream.evidence_bad)
        assert stream.rejected == (highest >= stream.bound_bad)
        assert stream.accepted == (stream.evidence_good >= stream.bound_good and not stream.rejected)


def runs(p: float, many: int, length: int, **options: float) -> Iterable[tuple[bool, bool]]:
    """Whether a watch of ``length`` ticks with 5 requests each ever rejected, ever accepted."""
    chance = random.Random(20)
    for _ in range(many):
        stream = Stream(**options)
        stream.begin_bake(length)
        accepted = False
        for _ in range(length):
            bad = sum(chance.random() < p for _ in range(5))
            stream.add(bad, 5 - bad, FLOOR)
            accepted |= stream.accepted
            if stream.rejected:
                break
        yield stream.rejected, accepted


def test_false_alarms_are_rarer_than_alpha() -> None:
    rejected = sum(rejected for rejected, _ in runs(FLOOR, 400, 250, alpha=0.1))
    assert 0 < rejected / 400 <= 0.1


def test_a_fault_of_the_size_that_must_be_caught_is_accepted_more_rarely_than_beta() -> None:
    accepted = sum(accepted for _, accepted in runs(0.05, 400, 250, beta=0.1, alpha=1e-12))
    assert 0 < accepted / 400 <= 0.1


def test_a_fifth_of_failures_costs_a_handful_of_requests() -> None:
    chance = random.Random(3)
    failed = []
    for _ in range(400):
        stream = Stream()
        while not stream.rejected:
            bad = chance.random() < 0.2
            stream.add(bad, not bad, FLOOR)
        failed.append(stream.bad)
    assert sorted(failed)[200] <= 5


def test_slowness_is_a_signal_like_any_other() -> None:
    """One request in ten may be beyond the threshold; when half of them are, it is told within 20."""
    slow = Stream(bad_share=0.5)
    for _ in range(10):
        slow.add(1, 1, 0.10)
    assert slow.rejected
    fast = Stream(bad_share=0.5)
    for _ in range(10):
        fast.add(0, 1, 0.10)
    assert fast.accepted


@given(SHARES, st.floats(0.01, 0.89))
def test_sizes_of_fault_lie_above_what_is_tolerated(p0: float, p1: float) -> None:
    sizes = faults(p0, p1)
    if p0 >= 0.9:
        assert sizes == ()
    else:
        assert p0 < sizes[0] < sizes[1] < sizes[2] < 1
        assert sizes[0] >= p1


def test_sizes_of_fault_by_the_numbers() -> None:
    assert faults(0.01, 0.05) == pytest.approx((0.05, 0.208, 0.568), abs=1e-3)
    assert faults(0.10, 0.50) == pytest.approx((0.5, 0.833, 0.962), abs=1e-3)
    assert faults(0.04, 0.05)[0] == 0.08, "twice what is tolerated"
    assert faults(0.6, 0.05)[0] == 0.9


def test_where_nearly_everything_is_tolerated_nothing_is_told() -> None:
    stream = fed([(10, 10)] * 1000, 0.9)
    assert (stream.rejected, stream.accepted) == (False, False)
    assert stream.needed_clean(0.9) is None


@pytest.mark.parametrize(
    ("bad", "total", "share"),
    [
        (0, 0, 0.01),
        (99, 99, 0.01),  # not enough to be believed
        (0, 100, 0.01),
        (1, 100, 0.0399),  # 1 % and as much for its error, twice
        (16, 6000, 0.01),  # exactly the floor is more than
        (26, 6000, 0.0104),
        (60, 6000, 0.0226),
        (80, 100, 1.0),
        (100, 100, 1.0),
    ],
)
def test_tolerated(bad: int, total: int, share: float) -> None:
    assert tolerated(bad, total) == pytest.approx(share, abs=5e-5)


def test_parts_of_alpha_never_add_up_to_more() -> None:
    parts = [share_of(ALPHA, rank) for rank in range(1, 1000)]
    assert parts[:2] == [ALPHA / 2, ALPHA / 6]
    assert sum(parts) < ALPHA


@pytest.mark.parametrize(("bad", "good", "share"), [(-1, 0, 0.01), (0, -1, 0.01), (1, 1, 0.0), (1, 1, 1.01)])
def test_what_cannot_be_judged_is_refused(bad: int, good: int, share: float) -> None:
    with pytest.raises(ValueError, match="cannot be judged"):
        Stream().add(bad, good, share)


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.0}, {"beta": 0.0}, {"bad_share": 0.9}])
def test_bounds_that_cannot_be_kept_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Stream(**options)


def test_a_step_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="a step of 0 ticks"):
        Stream().begin_bake(0)
