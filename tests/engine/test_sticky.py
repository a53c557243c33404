"""A sticky canary with a real proxy: a browser stays with its release, and nobody goes back as the share grows."""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from gate.engines.base import Instance
from gate.machine.shell import wait_until
from gate.machine.supervise import Process
from gate.routing.traffic import COOKIE
from tests.engine.site import Site, sticky_site

STABLE, CANDIDATE = "1.0.0", "1.1.0"
GIVEN = re.compile(rf"{COOKIE}=([0-9a-f-]{{36}}); Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax")
BROWSERS = 300
ALWAYS_BELOW, NEVER_BELOW = (f"{eight}-0000-4000-8000-000000000000" for eight in ("00000000", "ffffffff"))

NO_IDS = [
    f"{COOKIE}=",
    COOKIE,
    f"{COOKIE}=0",
    f"{COOKIE}=g",
    f"{COOKIE}=r1",
    f"{COOKIE}=../../r1",
    f"{COOKIE}={{env.HOME}}",
    f"{COOKIE}={{file./etc/passwd}}",
    f"{COOKIE}={ALWAYS_BELOW}0",
    f"{COOKIE}={ALWAYS_BELOW[:-1]}",
    f"{COOKIE}={NEVER_BELOW.upper()}",
    f"{COOKIE}={'0' * 8000}",
    f"x{COOKIE}={ALWAYS_BELOW}",
    "===;;;",
]


@pytest.fixture
def here() -> Iterator[Site]:
    with sticky_site() as made:
        yield made


@pytest.fixture
def candidate(here: Site) -> Instance:
    """Healthy and without traffic, beside a stable release."""
    here.serve(STABLE, "r1")
    return here.start(here.release(CANDIDATE), "r2")


def ids_given(answer: httpx.Response) -> list[str]:
    """The ids an answer tells the browser to keep."""
    cookies = [text for text in answer.headers.get_list("set-cookie") if text.startswith(COOKIE)]
    found = [GIVEN.fullmatch(text) for text in cookies]
    assert all(found), cookies
    return [match[1] for match in found if match]


def ask(here: Site, cookie: str, path: str = "/version") -> httpx.Response:
    answer = here.get(path, headers={"Cookie": cookie})
    assert answer.status_code == 200
    return answer


@dataclass
class Browser:
    """Keeps the id it is given, as browsers do."""

    client: httpx.Client
    id: str | None = None
    given: int = 0

    def served_by(self) -> str:
        headers = {"Cookie": f"lang=de; {COOKIE}={self.id}; theme=dark"} if self.id else {}
        answer = self.client.get("/version", headers=headers)
        self.client.cookies.clear()
        for self.id in ids_given(answer):
            self.given += 1
        version: str = answer.json()["version"]
        return version


def test_nobody_goes_back_as_the_share_grows(here: Site, candidate: Instance) -> None:
    with httpx.Client(base_url=here.environment.app.url, timeout=20, trust_env=False) as client:
        browsers = [Browser(client) for _ in range(BROWSERS)]
        before: set[int] = set()
        for share in (0.1, 0.5, 1.0):
            here.traffic.set_canary(candidate.id, share)
            rounds = [{n for n, each in enumerate(browsers) if each.served_by() == CANDIDATE} for _ in range(2)]
            assert rounds[0] == rounds[1], "somebody hopped between releases"
            assert before <= rounds[0], "somebody went back to the stable release"
            spread = 5 * math.sqrt(BROWSERS * share * (1 - share))
            assert abs(len(rounds[0]) - BROWSERS * share) <= spread
            before = rounds[0]
        assert [each.given for each in browsers] == [1] * BROWSERS
        assert len({each.id for each in browsers}) == BROWSERS
    # Its first request has the same id; no line after that tells whose request it was.
    assert here.traffic.access_log.read_text().count(str(browsers[0].id)) == 1


def test_the_cookie_is_given_only_while_there_is_a_canary(here: Site, candidate: Instance) -> None:
    assert ids_given(here.get()) == []
    here.engine.promote(candidate, 0.5)
    assert len(ids_given(here.get())) == 1
    here.engine.promote(candidate)
    assert ids_given(here.get()) == []
    assert ask(here, f"{COOKIE}={NEVER_BELOW}").json()["version"] == CANDIDATE


def test_a_probe_gets_no_cookie_and_heeds_none(here: Site, candidate: Instance) -> None:
    here.engine.promote(candidate, 0.5)
    door = here.engine.endpoint(candidate)
    answer = here.get(headers={**door.headers, "Cookie": f"{COOKIE}={NEVER_BELOW}"})
    assert answer.json()["version"] == CANDIDATE
    assert ids_given(answer) == ids_given(here.probe(candidate)) == []


def test_an_id_of_ones_own_making_chooses_between_two_releases_that_serve(here: Site, candidate: Instance) -> None:
    for share in (0.1, 0.5):
        here.engine.promote(candidate, share)
        for chosen, version in ((ALWAYS_BELOW, CANDIDATE), (NEVER_BELOW, STABLE)):
            answer = ask(here, f"{COOKIE}={chosen}")
            assert answer.json()["version"] == version
            assert ids_given(answer) == []
    here.traffic.clear_canary()
    assert ask(here, f"{COOKIE}={ALWAYS_BELOW}").json()["version"] == STABLE


def test_what_is_no_id_is_as_good_as_none(here: Site, candidate: Instance) -> None:
    here.engine.promote(candidate, 0.5)
    for cookie in NO_IDS:
        answer = ask(here, cookie)
        [given] = ids_given(answer)
        assert answer.json()["version"] == (CANDIDATE if given < "80000000" else STABLE), cookie


def test_cookies_of_the_application_are_kept(here: Site, candidate: Instance) -> None:
    here.engine.promote(candidate, 0.5)
    answer = here.get("/sign-in")
    own = ["session=s1; Path=/; HttpOnly", "theme=dark; Path=/"]
    assert [text for text in answer.headers.get_list("set-cookie") if not text.startswith(COOKIE)] == own
    [given] = ids_given(answer)
    again = ask(here, f"session=s1; {COOKIE}={given}; theme=dark", "/sign-in")
    assert again.headers.get_list("set-cookie") == own
    assert again.json()["headers"]["cookie"].startswith("session=s1; ")
    assert again.json()["headers"]["cookie"].endswith("; theme=dark")


def test_a_dead_canary_loses_no_browser(here: Site, candidate: Instance) -> None:
    here.engine.promote(candidate, 0.1)
    cookie = f"{COOKIE}={ALWAYS_BELOW}"
    assert ask(here, cookie).json()["version"] == CANDIDATE
    process = Process(here.environment.state_folder / "rel" / candidate.id, "web")
    pid = process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not process.alive(), timeout=5)
    for _ in range(3):
        answer = ask(here, cookie)
        assert answer.json()["version"] == STABLE
        assert ids_given(answer) == []
