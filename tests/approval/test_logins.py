"""Four eyes and accounts: what else somebody is known as, and an account that is nobody's."""

from __future__ import annotations

import unicodedata

import pytest

from gate.approval.logins import joined, known_as, split
from gate.approval.people import keys_of, named, stranger
from gate.config.approval import Person
from gate.errors import Refused
from tests.approval.rig import PEOPLE, Rig


def test_what_variables_say_is_added_and_hides_nothing() -> None:
    said = {"SUDO_USER": "alice", "GITHUB_ACTOR": "alice-at-github", "GITLAB_USER_LOGIN": "", "LOGNAME": "bob"}
    assert known_as("root@ops", said) == ["root@ops", "alice@ops", "alice-at-github"]
    assert known_as("root@ops", {}) == ["root@ops"]
    assert split(joined(known_as("root@ops", said))) == known_as("root@ops", said)


def test_an_author_who_signs_by_sudo_is_still_the_author(rig: Rig) -> None:
    del rig.table["approval"]["people"]
    rig.variables = {"SUDO_USER": "ines"}
    with pytest.raises(Refused, match="is an author"):
        rig.approve("technical", "root", name="somebody")


def test_who_signed_by_sudo_does_not_deploy(rig: Rig) -> None:
    del rig.table["approval"]["people"]
    rig.variables = {"SUDO_USER": "alice"}
    rig.approve("technical", "root", name="somebody")
    assert "somebody is who deploys (four eyes)" in rig.why("alice@ops")[0]
    assert len(rig.why("erin@ops")) == 2


def test_an_account_that_is_nobodys_may_be_anybodys(rig: Rig) -> None:
    """Who signed with a key of their own could deploy by an account that several share: nobody would be named twice."""
    rig.approve_all()
    assert rig.why("deploy@ops") == [
        f"sign-off {role}: {name}, 2026-11-24 01:30 UTC: deploy@ops, who deploys, is nobody in [approval.people], so "
        f"it may be {name} (four eyes): put it down there"
        for name, role in PEOPLE.items()
    ]
    assert len(rig.why("deploy@ops", "dora@ops")) == 3, "whom a variable names proves nothing of the account"
    assert len(rig.why("dora@ops", "stranger-at-github")) == 3
    rig.table["approval"]["four_eyes"] = False
    assert all("the policy" in text for text in rig.why("deploy@ops"))


def test_an_account_of_several_is_all_of_them(rig: Rig) -> None:
    for name in ("alice", "bob"):
        rig.table["approval"]["people"][name]["known_as"].append("deploy@ops")
    rig.approve_all()
    assert [text.rpartition(": ")[2] for text in rig.why("deploy@ops")] == [
        "alice is who deploys (four eyes)",
        "bob is who deploys (four eyes)",
    ]


def test_an_account_that_is_declared_as_nobodys_own_deploys_for_whoever_started_it(rig: Rig) -> None:
    rig.table["approval"]["people"]["ci"] = {"known_as": ["deploy@ops"]}
    rig.table["approval"]["people"]["alice"]["known_as"].append("alice-at-github")
    rig.approve_all()
    assert rig.why("deploy@ops") == []
    assert [text.rpartition(": ")[2] for text in rig.why("deploy@ops", "alice-at-github")] == [
        "alice is who deploys (four eyes)"
    ]


def test_without_people_nobody_is_a_stranger() -> None:
    assert stranger(["deploy@ops"], {}) is None
    assert stranger([], {"alice": Person(roles=[], known_as=[])}) is None


@pytest.mark.parametrize(
    "spelling",
    [unicodedata.normalize("NFD", "José Díaz"), "JOSÉ DÍAZ", "Ｊｏｓé Díaz", "José\u00a0Díaz", "Jo\u200bsé Díaz"],
    ids=["decomposed", "capitals", "wide letters", "another blank", "a letter that nobody sees"],
)
def test_a_name_is_the_same_however_its_letters_are_written(spelling: str) -> None:
    people = {"jose": Person(roles=["technical"], known_as=["José Díaz"])}
    assert keys_of([f"{spelling} <else@where.example>"], people) >= {"person jose"}
    assert named(spelling, people) == "jose"
    assert keys_of([spelling], {}) == keys_of(["José Díaz"], {})
