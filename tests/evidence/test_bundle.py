"""Evidence is sealed: one byte changed, a file lost or added, another manifest are found, in a folder and in a zip."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate import verify
from gate.errors import OperationFailed, Refused, UsageError
from gate.evidence import bundle
from gate.records.ledger import Ledger, Seal
from gate.records.sqlite import SqliteFile
from gate.records.store import Store

AT = datetime(2026, 11, 28, 2, 14, tzinfo=UTC)


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "reports" / "local" / "7"
    (folder / "logs").mkdir(parents=True)
    (folder / "report.html").write_text("<h1>Released</h1>", encoding="utf-8")
    (folder / "decision.json").write_text("{}", encoding="utf-8")
    (folder / "logs" / "web ü.log").write_bytes(b"\xff\x00line")
    (folder / "dumps").mkdir()
    return folder, bundle.seal(folder, "local", 7, AT)


def remade(folder: Path) -> None:
    (folder / "report.html").write_text("<h1>Rolled back</h1>", encoding="utf-8")
    bundle.seal(folder, "local", 7, AT)


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def linked(folder: Path) -> None:
    """The same bytes, but a link: what it leads to may change without the folder changing."""
    file = folder / "report.html"
    shutil.move(file, folder.parent / "elsewhere")
    file.symlink_to(folder.parent / "elsewhere")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one byte": (lambda folder: flipped(folder / "logs" / "web ü.log"), "logs/web ü.log: changed"),
    "longer": (lambda folder: (folder / "decision.json").write_text("{}\n"), "decision.json: changed"),
    "missing": (lambda folder: (folder / "report.html").unlink(), "report.html: missing"),
    "added": (lambda folder: (folder / "logs" / "new").touch(), "logs/new: added"),
    "added, an empty folder": (
        lambda folder: (folder / "logs" / "deep" / "new").mkdir(parents=True),
        "logs/deep/new/: a",
    ),
    "missing, an empty folder": (lambda folder: (folder / "dumps").rmdir(), "dumps/: missing"),
    "another manifest": (remade, "manifest.json: is another one than the gate made"),
}


def zipped(folder: Path) -> Path:
    target = folder.parent / "local-7.zip"
    bundle.pack(folder, target)
    return target


@pytest.mark.parametrize("form", [lambda folder: folder, zipped], ids=["folder", "zip"])
@pytest.mark.parametrize("fault", FAULTS)
def test_tampering_is_found(sealed: tuple[Path, str], fault: str, form: Callable[[Path], Path]) -> None:
    folder, sha256 = sealed
    seals = [Seal(sha256, "then")]
    assert (
        verify.prove(form(folder), seals=seals).anchor == "proven: the gate's records hold the same SHA-256 since then"
    )
    act, told = FAULTS[fault]
    act(folder)
    with pytest.raises(Refused, match=told):
        verify.prove(form(folder), seals=seals)


def test_a_link_proves_nothing(sealed: tuple[Path, str]) -> None:
    linked(sealed[0])
    with pytest.raises(Refused, match=r"report\.html: is a link"):
        verify.prove(sealed[0])
    with pytest.raises(OperationFailed, match="is a link"):
        bundle.seal(sealed[0], "local", 7, AT)


def test_without_records_a_new_manifest_is_not_found_and_that_is_said(
    sealed: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, sha256 = sealed
    remade(folder)
    assert verify.main([str(folder)]) == 0
    assert verify.UNPROVEN in capsys.readouterr().out
    assert verify.main([str(folder), sha256]) == 3
    assert "manifest.json: is another one" in capsys.readouterr().err


def test_a_hash_from_elsewhere_proves_a_download(sealed: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(zipped(sealed[0])), f"sha256:{sealed[1]}"]) == 0
    assert "proven: its SHA-256 is the expected one" in capsys.readouterr().out


def test_a_zip_made_by_hand_is_read_too(sealed: tuple[Path, str], tmp_path: Path) -> None:
    flat = Path(shutil.make_archive(str(tmp_path / "flat"), "zip", sealed[0]))
    assert verify.prove(flat, expected=sealed[1]).anchor


def test_a_file_twice_in_a_zip_is_found(sealed: tuple[Path, str]) -> None:
    packed = zipped(sealed[0])
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("local-7/report.html", "another")
    with pytest.raises(Refused, match="in the zip twice"):
        verify.prove(packed)


@pytest.mark.skipif(os.name != "posix", reason="pipes and links are POSIX's")
@pytest.mark.parametrize("name", ["report.html", "manifest.json"])
@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_holds_nobody_up(sealed: tuple[Path, str], tmp_path: Path, name: str, *, link: bool) -> None:
    """Nobody ever writes to it: whoever opens it as a file would wait for good."""
    folder, _ = sealed
    (folder / name).unlink()
    pipe = tmp_path / "pipe" if link else folder / name
    os.mkfifo(pipe)
    if link:
        (folder / name).symlink_to(pipe)
    with pytest.raises((Refused, OperationFailed), match="is a link or no file"):
        verify.prove(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_no_manifest_can_hold_is_not_sealed(sealed: tuple[Path, str]) -> None:
    (sealed[0] / os.fsdecode(b"x\xff")).write_text("x")
    with pytest.raises(OperationFailed, match="it is not UTF-8"):
        bundle.seal(sealed[0], "local", 7, datetime.now(UTC))


@pytest.mark.parametrize("around", ["before", "after"])
def test_what_stands_around_a_zip_is_found(sealed: tuple[Path, str], around: str) -> None:
    """A page before it is still a zip for one program, and a page for another."""
    packed = zipped(sealed[0])
    content, page = packed.read_bytes(), b"<script>alert(1)</script>"
    packed.write_bytes(page + content if around == "before" else content + page)
    with pytest.raises(Refused, match=f"something stands {around} its"):
        verify.prove(packed, expected=sealed[1])


def test_a_folder_of_a_zip_that_has_content_is_found(sealed: tuple[Path, str]) -> None:
    packed = zipped(sealed[0])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("local-7/more/", "content")
    with pytest.raises(Refused, match="more/: is a folder, and has content"):
        verify.prove(packed, expected=sealed[1])


def test_a_file_beside_the_evidence_is_not_taken_for_one_of_it(sealed: tuple[Path, str], tmp_path: Path) -> None:
    """A forged report at the top of a zip, and the true one in the folder that is proven."""
    forged = tmp_path / "forged.zip"
    with zipfile.ZipFile(zipped(sealed[0])) as true, zipfile.ZipFile(forged, "w") as archive:
        archive.writestr("report.html", "forged")
        for entry in true.infolist():
            archive.writestr(entry, true.read(entry))
    with pytest.raises(Refused, match=r"report\.html: (is in the zip twice|lies outside)"):
        verify.prove(forged, expected=sealed[1])


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["manifest.json", "report.html"])
def test_what_may_unpack_to_any_size_at_once_is_not_unpacked(
    sealed: tuple[Path, str], tmp_path: Path, way: int, name: str
) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w") as archive:
        for file in sorted(sealed[0].rglob("*")):
            if file.is_file():
                inside = file.relative_to(sealed[0]).as_posix()
                archive.write(file, inside, compress_type=way if inside == name else zipfile.ZIP_DEFLATED)
    with pytest.raises((Refused, OperationFailed), match="packed in a way that the gate does not use"):
        verify.prove(bomb, expected=sealed[1])


def test_what_no_list_of_a_zip_shows_is_found(sealed: tuple[Path, str]) -> None:
    """A file whose entry was taken out of the list: who reads a zip from its beginning has it all the same."""
    packed = zipped(sealed[0])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("local-7/hidden.html", "hidden")
        archive.filelist.pop()
    with pytest.raises(Refused, match="that is no file"):
        verify.prove(packed, expected=sealed[1])


@pytest.mark.parametrize("damage", [(b"PK\x01\x02", 6, b"\x63\x00"), (b"PK\x01\x02", 46, b"\xff\xfe")])
def test_a_zip_that_nobody_can_read_is_an_error_in_words(
    sealed: tuple[Path, str], damage: tuple[bytes, int, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that needs a later version of the form; one whose names are not in the code that they say."""
    packed = zipped(sealed[0])
    content = bytearray(packed.read_bytes())
    mark, offset, put = damage
    at = content.index(mark)
    content[at + 8 : at + 10] = (0x800).to_bytes(2, "little")  # names are UTF-8
    content[at + offset : at + offset + len(put)] = put
    packed.write_bytes(content)
    assert verify.main([str(packed)]) == 3
    assert "neither a folder nor a whole zip" in capsys.readouterr().err


def test_a_manifest_cannot_speak_for_the_one_who_proves_it(
    sealed: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = "local\n  proven: its SHA-256 is the expected one"
    manifest = sealed[0] / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"environment": said}))
    assert verify.main([str(sealed[0])]) == 3
    packed = zipped(sealed[0])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("local-7/\x1b[2J\x9b.txt", "x")
    assert verify.main([str(packed)]) == 3
    shown = capsys.readouterr()
    assert "proven" not in shown.out
    assert "\x1b" not in shown.err


def test_the_same_evidence_packs_to_the_same_bytes(sealed: tuple[Path, str], tmp_path: Path) -> None:
    first = zipped(sealed[0]).read_bytes()
    again = tmp_path / "again"
    shutil.copytree(sealed[0], again)
    bundle.pack(again, tmp_path / "local-7.zip")
    assert (tmp_path / "local-7.zip").read_bytes() == first


def test_evidence_of_another_deployment_or_environment_is_found(sealed: tuple[Path, str]) -> None:
    with pytest.raises(Refused, match="of deployment 7, not of 8"):
        verify.prove(sealed[0], deployment=8)
    with pytest.raises(Refused, match="of local, not of production"):
        verify.prove(sealed[0], environment="production")


def test_a_copy_may_be_of_an_earlier_seal_and_the_place_itself_may_not(sealed: tuple[Path, str]) -> None:
    seals = [Seal("f" * 64, "later"), Seal(sealed[1], "then")]
    assert "newer evidence since later" in verify.prove(sealed[0], seals=seals).anchor
    with pytest.raises(Refused, match="another one than the gate made"):
        verify.prove(sealed[0], seals=seals, copy=False)


def test_own_evidence_that_the_records_do_not_know_is_not_proven(sealed: tuple[Path, str]) -> None:
    with pytest.raises(Refused, match="records know none"):
        verify.prove(sealed[0], seals=[], copy=False)
    assert verify.prove(sealed[0], seals=[]).anchor == ""
    assert verify.prove(sealed[0], seals=[], copy=False, expected=sealed[1]).anchor  # as it was told when it was made


@pytest.mark.parametrize("content", [b"{}", b"\xff", b'{"format": 2}'])
def test_a_manifest_that_is_none_is_said(sealed: tuple[Path, str], content: bytes) -> None:
    (sealed[0] / "manifest.json").write_bytes(content)
    with pytest.raises(OperationFailed, match="not one of format 1"):
        verify.prove(sealed[0])


def test_what_is_no_bundle_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path, tmp_path / "not there"):
        with pytest.raises(UsageError):
            verify.prove(path)
        assert verify.main([str(path)]) == 2
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    assert verify.main([str(broken)]) == 3
    assert verify.main([]) == 2
    assert "usage: python -m gate.verify" in capsys.readouterr().err


def test_a_zip_cut_short_or_damaged_inside_is_found(sealed: tuple[Path, str]) -> None:
    packed = zipped(sealed[0])
    content = bytearray(packed.read_bytes())
    name = content.index(b"local-7/logs/")
    extra = int.from_bytes(content[name - 2 : name], "little")
    at = name + len("local-7/logs/web ü.log".encode()) + extra
    content[at : at + 4] = b"\xff\xff\xff\xff"
    packed.write_bytes(content)
    with pytest.raises(Refused, match=r"web ü\.log"):
        verify.prove(packed)


def test_the_records_keep_every_seal(tmp_path: Path) -> None:
    store = Store(SqliteFile(tmp_path / "gate.db"), clock=lambda: AT)
    number = store.begin(
        action="deploy",
        version="1",
        digest="d",
        commit=None,
        folder="f",
        by="b",
        stable_version=None,
        stable_instance=None,
    )
    ledger = Ledger(store)
    assert ledger.seals(number) == []
    ledger.seal(number, "a" * 64)
    ledger.seal(number, "b" * 64)
    assert [seal.sha256[0] for seal in ledger.seals(number)] == ["b", "a"]
    assert ledger.seals(number)[0].at == AT.isoformat(timespec="milliseconds")
