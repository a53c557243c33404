"""Sign-offs: every role, for exactly this release and these rules, by people who may; each way it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gate import environments, releases
from gate.approval import subjects
from gate.errors import Refused, UsageError
from gate.results import Decision, Outcome
from tests.approval.rig import CASE, PEOPLE, Rig


def test_all_roles_are_permission_and_one_missing_is_none(rig: Rig) -> None:
    assert rig.why() == [f"sign-off {role}: missing" for role in ("technical", "security", "business")]
    rig.approve("technical", "alice")
    rig.approve("security", "bob")
    (reason,) = rig.ask().reasons
    assert (reason.text, reason.decision) == ("sign-off business: missing", Decision.NO_GO)
    assert reason.next_step == "python deploy_gate.py production approve --role business --version 1.1.0"
    told = rig.approve("business", "carol")
    assert told["missing"] == []
    assert rig.why() == []
    assert {item.signoff.by for item in rig.ask().conditions if item.signoff} == {"alice", "bob", "carol"}


def test_without_roles_nobody_has_to_sign(rig: Rig) -> None:
    rig.table["approval"] = {}
    assert rig.ask().conditions == ()


@pytest.mark.parametrize(("days", "counts"), [(30, True), (7, True), (7, False)])
def test_a_sign_off_expires(rig: Rig, days: int, counts: bool) -> None:
    rig.table["approval"]["valid_days"] = days
    rig.approve_all()
    rig.now += timedelta(days=days) - timedelta(seconds=1 if counts else 0)
    assert (rig.why() == []) is counts
    if not counts:
        assert "alice, 2026-11-24 01:30 UTC: expired at 2026-12-01 01:30 UTC" in rig.why()[0]
        rig.approve("technical", "alice")
        assert len(rig.why()) == 2, "signed once more, it counts again"


def rebuild(rig: Rig) -> None:
    (rig.root / "releases" / "1.1.0" / "app.py").write_text("VERSION = 'another'\n")
    rig.release("1.1.0", None, author="Ines")
    (rig.root / "releases" / "1.1.0" / "new.py").write_text("")
    rig.manifest("1.1.0", author="Ines")


def migrate(rig: Rig) -> None:
    (rig.root / "releases" / "1.1.0" / "migrations" / "0002_second.up.sql").write_text("DROP TABLE orders;\n")


def rewrite_migration(rig: Rig) -> None:
    (rig.root / "releases" / "1.1.0" / "migrations" / "0001_first.up.sql").write_text("DROP TABLE orders;\n")


def loosen_check(rig: Rig) -> None:
    (rig.root / "checks" / "test_made_up.py").write_text(CASE + "\n")


def add_fixture(rig: Rig) -> None:
    (rig.root / "fixtures").mkdir()
    (rig.root / "fixtures" / "measure.py").write_text("")


def put_code_among_bytecode(rig: Rig) -> None:
    (rig.root / "checks" / "__pycache__").mkdir()
    (rig.root / "checks" / "__pycache__" / "helper.py").write_text("")


def link_to_a_folder(rig: Rig) -> None:
    (rig.root / "elsewhere").mkdir()
    (rig.root / "elsewhere" / "test_more.py").write_text(CASE)
    (rig.root / "checks" / "more").symlink_to(rig.root / "elsewhere")


def change_behind_a_link(rig: Rig) -> None:
    (rig.root / "shared" / "helper.py").write_text("LIMIT = 100")


def loosen_rule(rig: Rig) -> None:
    rig.table["rules"] = [{"signal": "error_rate", "rollback": "> 50%"}]


def loosen_readiness(rig: Rig) -> None:
    rig.table["readiness"] = {"minimum": 10}


def shorten_watch(rig: Rig) -> None:
    rig.table["traffic"]["steps"] = ["100% 1s"]


def add_window(rig: Rig) -> None:
    rig.table["schedule"] = {"windows": ["00:00-00:00"]}


def flip_flag(rig: Rig) -> None:
    rig.table["services"]["web"]["env"]["FEATURE_DISCOUNT"] = "on"


def move_database(rig: Rig) -> None:
    rig.table["database"]["url"] = "postgresql://tiny@127.0.0.2:1/tiny"


def move_front_door(rig: Rig) -> None:
    rig.table["app"]["url"] = "http://127.0.0.1:8081"


def take_another_variable(rig: Rig) -> None:
    rig.table["services"]["web"]["env"]["KEY"] = "${KEY:-}"


def change_option(rig: Rig) -> None:
    rig.table["options"]["training_sale"] = "90"


def name_no_commit(rig: Rig) -> None:
    """A range without a commit: git names nobody for it, and anybody could sign."""
    rig.manifest("1.1.0", commit="HEAD..HEAD")


def name_an_author(rig: Rig) -> None:
    rig.manifest("1.1.0", commit=releases.read(rig.root / "releases" / "1.1.0").commit, author="Somebody Else")


CHANGES: list[tuple[Callable[[Rig], None], str]] = [
    (rebuild, "the artifact has changed"),
    (migrate, "the migration set has changed"),
    (rewrite_migration, "the migration set has changed"),
    (loosen_check, "the check suite has changed"),
    (add_fixture, "the check suite has changed"),
    (put_code_among_bytecode, "the check suite has changed"),
    (link_to_a_folder, "the check suite has changed"),
    (change_behind_a_link, "the check suite has changed"),
    (loosen_rule, "the policy"),
    (loosen_readiness, "the policy"),
    (shorten_watch, "the policy"),
    (add_window, "the policy"),
    (flip_flag, "the policy"),
    (move_database, "the policy"),
    (move_front_door, "the policy"),
    (take_another_variable, "the policy"),
    (change_option, "the policy"),
    (name_no_commit, "the commit"),
    (name_an_author, "the author"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_changes_after_it_was_signed_voids_every_sign_off(
    rig: Rig, change: Callable[[Rig], None], told: str
) -> None:
    rig.table["services"]["web"]["env"]["FEATURE_DISCOUNT"] = "off"
    rig.table["options"] = {"training_sale": "10"}
    (rig.root / "shared").mkdir()
    (rig.root / "shared" / "helper.py").write_text("LIMIT = 1")
    (rig.root / "checks" / "shared").symlink_to(rig.root / "shared")
    rig.approve_all()
    assert rig.why() == []
    change(rig)
    why = rig.why()
    assert len(why) == 3
    assert all(told in text and "since it was signed" in text for text in why), why


def test_what_decides_nothing_voids_nothing(rig: Rig) -> None:
    rig.approve_all()
    rig.table["contacts"] = {"primary": "somebody else"}
    rig.table["retention"] = {"backups": 9}
    (rig.root / "checks" / "__pycache__").mkdir()
    (rig.root / "checks" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert rig.why() == []


STAGING = """
app = { name = "tiny", url = "${STAGING_URL}" }
monitoring = { phases = ["1h for 24h"] }
rules = [{ signal = "error_rate", rollback = "> 5%" }]
state = { folder = ".gate" }
contacts = { primary = "somebody" }
"""


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("1h for 24h", "12h for 24h", False),
        ("> 5%", "> 50%", False),
        ('".gate"', '"made-up"', False),
        ("monitoring =", "monitoring", False),  # not even TOML any more
        ('"somebody"', '"somebody else"', True),
        ("app", "# said once more\napp", True),
    ],
)
def test_how_staging_is_looked_at_is_signed_for_where_a_release_soaks_there(
    rig: Rig, before: str, after: str, counts: bool
) -> None:
    """Fewer looks, or looser ones, are another soak than the one that people had before them."""
    file = rig.root / "environments" / "staging.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(STAGING)
    rig.table["schedule"] = {"soak": {"environment": "staging", "hours": 24}}
    release = releases.read(rig.root / "releases" / "1.1.0")
    signed = subjects.of(rig.environment, release).policy
    file.write_text(STAGING.replace(before, after))
    assert (subjects.of(rig.environment, release).policy == signed) is counts
    rig.table["schedule"] = {}
    free = subjects.of(rig.environment, release).policy
    file.unlink()
    assert subjects.of(rig.environment, release).policy == free, "without a soak it is none of this environment's"


def test_a_rotated_secret_voids_nothing_wherever_it_goes(rig: Rig) -> None:
    rig.table["services"]["web"]["command"] = ["serve", "--token", "${KEY}"]
    rig.table["services"]["web"]["env"]["REDIS_URL"] = "redis://:${KEY}@127.0.0.1:1/0"
    rig.table["options"] = {"training_code": "${KEY}"}
    rig.table["database"]["url"] = "postgresql://tiny:a-password-in-the-file@127.0.0.1:1/tiny"
    rig.approve_all()
    rig.key = "another-secret-value"
    rig.table["database"]["url"] = "postgresql://tiny:another-one-in-the-file@127.0.0.1:1/tiny"
    assert rig.why() == []


FILE = """
# What decides.
extends = "base.toml"
app = { name = "tiny", url = "http://127.0.0.1:8080" }
engine = { kind = "process" }
traffic = { listen = "127.0.0.1:8080" }
smoke = { folders = ["smoke"] }
checks = { folders = ["checks"] }

[services.web.env]
FEATURE_DISCOUNT = "off"
KEY = "${KEY}"
"""
SAME_FILE = """
extends = "base.toml"   # in another order, by another hand
checks.folders = [
  "checks",             # of now
]
smoke = { folders = ['smoke'] }
traffic = { listen = "127.0.0.1:8080" }
[app]
url = "http://127.0.0.1:8080"
name = "tiny"
[engine]
kind = "process"
[services.web]
env = { KEY = "${KEY}", FEATURE_DISCOUNT = "off" }
"""
BASE = """
releases = { source = "releases" }
[services.web]
command = ["serve"]
route = "/"
health = "/health"
identity = "/version#version"
env = { LEVEL = "warning" }
"""


def test_what_is_inherited_is_bound_and_the_order_and_comments_of_a_file_are_not(rig: Rig) -> None:
    release = releases.read(rig.root / "releases" / "1.1.0")

    def policy(file: str, base: str = BASE, key: str = "a-value-of-no-account") -> str:
        for name, text in (("production", file), ("base", base)):
            (rig.root / "environments").mkdir(exist_ok=True)
            (rig.root / "environments" / f"{name}.toml").write_text(text, encoding="utf-8")
        return subjects.of(environments.load("production", rig.root, {"KEY": key}), release).policy

    signed = policy(FILE)
    assert policy(SAME_FILE) == signed
    assert policy(FILE, key="rotated") == signed
    assert policy(FILE.replace('"off"', '"on"')) != signed
    assert policy(FILE, BASE.replace("warning", "debug")) != signed


def test_a_sign_off_for_another_version_is_none(rig: Rig) -> None:
    rig.release("1.2.0", None, author="Ines")
    rig.approve_all(version="1.2.0")
    assert rig.why() == [f"sign-off {role}: missing" for role in ("technical", "security", "business")]


@pytest.mark.parametrize("name", ["ines", "ines@shop.example", "otto", "INES@laptop"])
def test_an_author_may_not_sign_under_any_name(rig: Rig, name: str) -> None:
    del rig.table["approval"]["people"]
    with pytest.raises(Refused, match=r"is an author of the release's commit \(four eyes\)"):
        rig.approve("technical", "dan", name=name)
    rig.table["approval"]["four_eyes"] = False
    rig.approve("technical", "ines", name="ines")
    assert len(rig.why()) == 2


def test_a_login_of_the_author_counts_whatever_name_is_given(rig: Rig) -> None:
    del rig.table["approval"]["people"]
    with pytest.raises(Refused, match="four eyes"):
        rig.approve("technical", "ines", name="somebody-else")


def test_people_say_that_two_names_are_one_person(rig: Rig) -> None:
    rig.table["approval"]["people"]["alice"]["known_as"].append("otto@shop.example")
    with pytest.raises(Refused, match="alice is an author"):
        rig.approve("technical", "alice")


def test_another_author_or_commit_than_when_it_was_signed_voids_it(rig: Rig) -> None:
    rig.approve_all()
    rig.manifest("1.1.0", author="Carol Danvers <carol@ops>")
    assert rig.why() == [
        f"sign-off {role}: {name}, 2026-11-24 01:30 UTC: the commit that the release names has changed since it was "
        "signed"
        for name, role in PEOPLE.items()
    ]


@pytest.mark.parametrize("commit", [None, "0" * 40, "--help"])
def test_an_author_nobody_knows_is_no_other_one(rig: Rig, commit: str | None) -> None:
    rig.manifest("1.1.0", commit=commit)
    with pytest.raises(Refused, match="the authors of the commit are not known"):
        rig.approve("technical", "alice")
    rig.manifest("1.1.0", commit=commit, author="Ines <ines@shop.example>")
    rig.approve("technical", "alice")


def test_who_deploys_may_not_have_signed(rig: Rig) -> None:
    rig.approve_all()
    assert rig.why("alice@ops") == ["sign-off technical: alice, 2026-11-24 01:30 UTC: alice is who deploys (four eyes)"]
    rig.table["approval"]["four_eyes"] = False
    assert all("policy" in text for text in rig.why("alice@ops")), "switching four eyes off is a change of the policy"


def test_nobody_signs_for_a_role_that_is_not_theirs(rig: Rig) -> None:
    with pytest.raises(Refused, match="bob may not sign for business"):
        rig.approve("business", "bob")
    with pytest.raises(Refused, match="stranger@ops may not sign for business"):
        rig.approve("business", "stranger")
    with pytest.raises(UsageError, match="no role 'legal'"):
        rig.approve("legal", "bob")
    assert len(rig.why()) == 3


def test_a_role_taken_from_somebody_takes_the_sign_off_with_it(rig: Rig) -> None:
    rig.approve_all()
    people = rig.table["approval"]["people"]
    people["bob"]["roles"], people["dan"] = [], {"roles": ["security"]}
    assert any("policy" in text for text in rig.why())


def test_what_is_revoked_counts_no_more_and_may_be_signed_again(rig: Rig) -> None:
    rig.approve_all()
    told = rig.signing("bob").revoke("security", version="1.1.0", deployment=None)
    assert told["missing"] == ["security"]
    assert "revoked by bob@ops" in rig.why()[0]
    with pytest.raises(UsageError, match="nothing to revoke"):
        rig.signing("bob").revoke("security", version="1.1.0", deployment=None)
    rig.approve("security", "bob")
    assert rig.why() == []
    rig.signing("dora").revoke(None, version="1.1.0", deployment=None)
    assert len(rig.why()) == 3


def test_the_release_that_was_refused_last_is_meant_by_default(rig: Rig) -> None:
    with pytest.raises(UsageError, match="--version V"):
        rig.signing("alice").approve("technical", None, version=None, deployment=None, key=None)
    rig.deployed(Outcome.REFUSED)
    told = rig.signing("alice").approve("technical", None, version=None, deployment=None, key=None)
    assert told["release"]["version"] == "1.1.0"
    rig.deployed(Outcome.RELEASED)
    with pytest.raises(UsageError, match="--version V"):
        rig.signing("alice").approve("technical", None, version=None, deployment=None, key=None)


@pytest.mark.parametrize("name", ["two words", "", "new\nline", "-x", "a" * 101])
def test_a_name_is_one_word(rig: Rig, name: str) -> None:
    with pytest.raises(UsageError, match="--as"):
        rig.approve("technical", "alice", name=name)
