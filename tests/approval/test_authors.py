"""Who wrote a release: what git tells of one commit by its whole hash, or nothing, and then nobody can sign."""

from __future__ import annotations

from pathlib import Path

import pytest

from gate import releases
from gate.approval import authors, subjects
from gate.errors import OperationFailed, Refused
from gate.machine import shell
from tests.approval.rig import Rig, commit_by_ines


def of(rig: Rig) -> list[str]:
    release = releases.read(rig.root / "releases" / "1.1.0")
    return authors.of(subjects.of(rig.environment, release), rig.root)


def git(root: Path, *words: str, stdin: str | None = None) -> str:
    return shell.run(["git", "-C", str(root), *words], timeout=30, stdin=stdin).out.strip()


@pytest.mark.parametrize("commit", ["HEAD..HEAD", "HEAD", "HEAD~0", "--all", "{}^!", "{:.12}", "{}\n", " {}"])
def test_what_is_not_the_whole_hash_of_a_commit_names_nobody(rig: Rig, commit: str) -> None:
    whole = releases.read(rig.root / "releases" / "1.1.0").commit or ""
    assert of(rig) == ["Ines Okafor <ines@shop.example>", "Otto Lind <otto@shop.example>"]
    named = commit.format(whole)
    rig.manifest("1.1.0", commit=named)
    if named.strip() == whole:
        assert len(of(rig)) == 2, "blanks around it are no part of it"
        return
    with pytest.raises(OperationFailed, match="not the whole hash"):
        of(rig)


def test_with_a_range_for_a_commit_not_even_the_author_can_sign(rig: Rig) -> None:
    """An empty range has no authors: nobody would be one, and whoever edits the manifest could sign for all roles."""
    rig.table["approval"]["people"]["ines"] = {"roles": ["technical"], "known_as": ["ines@shop.example", "ines@ops"]}
    with pytest.raises(Refused, match="is an author"):
        rig.approve("technical", "ines")
    rig.manifest("1.1.0", commit="HEAD..HEAD")
    for name in ("ines", "alice"):
        with pytest.raises(Refused, match="the authors of the commit are not known"):
            rig.approve("technical", name)


def test_of_several_that_the_manifest_names_each_is_an_author(rig: Rig) -> None:
    """A server that a CI reaches over SSH has no repository: the manifest alone tells there."""
    rig.manifest("1.1.0", commit="a" * 40, author="Dora Ek <dora@shop.example>; Alice <alice@ops>")
    assert of(rig) == ["Dora Ek <dora@shop.example>", "Alice <alice@ops>"]
    with pytest.raises(Refused, match="alice is an author"):
        rig.approve("technical", "alice")
    assert rig.approve("security", "bob")["missing"] == ["technical", "business"]


def test_a_commit_without_a_name_has_no_author(rig: Rig, tmp_path: Path) -> None:
    root = tmp_path / "another"
    root.mkdir()
    git(root, "init", "-q")
    tree = git(root, "hash-object", "-w", "-t", "tree", "--stdin", stdin="")
    text = f"tree {tree}\nauthor  <> 1700000000 +0000\ncommitter  <> 1700000000 +0000\n\nnobody\n"
    commit = git(root, "hash-object", "-w", "-t", "commit", "--literally", "--stdin", stdin=text)
    rig.manifest("1.1.0", commit=commit)
    subject = subjects.of(rig.environment, releases.read(rig.root / "releases" / "1.1.0"))
    with pytest.raises(OperationFailed, match="git names no author"):
        authors.of(subject, root)


def test_a_commit_that_stands_in_for_another_names_nobody(rig: Rig, tmp_path: Path) -> None:
    """``git replace`` shows another commit under the same hash, to whoever does not ask for the commit itself."""
    root = tmp_path / "another"
    root.mkdir()
    commit = commit_by_ines(root)
    who = ["-c", "user.name=Mallory", "-c", "user.email=mallory@shop.example", "-c", "commit.gpgsign=false"]
    git(root, *who, "commit", "-q", "--allow-empty", "-m", "Mine")
    git(root, "replace", commit, "HEAD")
    rig.manifest("1.1.0", commit=commit)
    subject = subjects.of(rig.environment, releases.read(rig.root / "releases" / "1.1.0"))
    assert authors.of(subject, root)[0] == "Ines Okafor <ines@shop.example>"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, str, str]:
    """A repository with a commit by Ines and a later one by Zoe."""
    root = tmp_path / "two"
    root.mkdir()
    first = commit_by_ines(root)
    who = ["-c", "user.name=Zoe Park", "-c", "user.email=zoe@shop.example", "-c", "commit.gpgsign=false"]
    git(root, *who, "commit", "-q", "--allow-empty", "-m", "another")
    return root, first, git(root, "rev-parse", "HEAD")


def among(root: Path, rig: Rig) -> list[str]:
    return authors.of(subjects.of(rig.environment, releases.read(rig.root / "releases" / "1.1.0")), root)


@pytest.mark.parametrize("tag", ["v1.1.0", "1.1.0"])
@pytest.mark.parametrize("words", [(), ("-a", "-m", "released")], ids=["light", "annotated"])
def test_an_author_who_names_somebody_elses_commit_is_given_away_by_the_tag(
    rig: Rig, two: tuple[Path, str, str], tag: str, words: tuple[str, ...]
) -> None:
    root, by_ines, by_zoe = two
    rig.manifest("1.1.0", commit=by_zoe, author="Zoe Park")
    assert among(root, rig) == ["Zoe Park <zoe@shop.example>", "Zoe Park"]
    git(root, "-c", "user.name=x", "-c", "user.email=x@x", "tag", *words, tag, by_ines)
    with pytest.raises(OperationFailed, match=f"the tag {tag} is {by_ines[:12]}"):
        among(root, rig)
    rig.manifest("1.1.0", commit=by_ines.upper())
    assert among(root, rig)[0] == "Ines Okafor <ines@shop.example>"


def test_an_author_who_names_no_commit_is_told_by_the_tag(rig: Rig, two: tuple[Path, str, str]) -> None:
    root, by_ines, _ = two
    rig.manifest("1.1.0", author="Zoe Park")
    assert among(root, rig) == ["Zoe Park"]
    git(root, "tag", "v1.1.0", by_ines)
    assert among(root, rig) == ["Ines Okafor <ines@shop.example>", "Otto Lind <otto@shop.example>", "Zoe Park"]


def test_a_short_hash_of_the_tags_own_commit_is_that_commit(rig: Rig, two: tuple[Path, str, str]) -> None:
    root, by_ines, by_zoe = two
    git(root, "tag", "v1.1.0", by_ines)
    rig.manifest("1.1.0", commit=by_ines[:12])
    assert among(root, rig)[0] == "Ines Okafor <ines@shop.example>"
    for other in (by_zoe[:12], by_ines[:3]):
        rig.manifest("1.1.0", commit=other)
        with pytest.raises(OperationFailed, match=r"the tag v1\.1\.0 is"):
            among(root, rig)


def test_a_repository_that_git_does_not_read_tells_nobody(rig: Rig, two: tuple[Path, str, str]) -> None:
    """As one of another account is: without its tags nobody knows whether the manifest names the right commit."""
    root, _, by_zoe = two
    rig.manifest("1.1.0", commit=by_zoe, author="Zoe Park")
    (root / ".git" / "config").write_text("[damaged")
    with pytest.raises(OperationFailed, match="does not tell what the tags of"):
        among(root, rig)


def test_two_tags_that_lead_to_two_commits_tell_nobody(rig: Rig, two: tuple[Path, str, str]) -> None:
    root, by_ines, by_zoe = two
    rig.manifest("1.1.0", author="Zoe Park")
    git(root, "tag", "v1.1.0", by_ines)
    git(root, "tag", "1.1.0", by_zoe)
    with pytest.raises(OperationFailed, match="the tag"):
        among(root, rig)


def test_no_variable_leads_git_to_another_repository(
    rig: Rig, two: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(two[0] / ".git"))
    assert of(rig) == ["Ines Okafor <ines@shop.example>", "Otto Lind <otto@shop.example>"]
