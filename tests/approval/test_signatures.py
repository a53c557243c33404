"""With allowed signers only an SSH signature is a sign-off: real keys, real ssh-keygen, each kind of forgery."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from gate import releases
from gate.approval import signatures
from gate.approval.book import Book
from gate.errors import Refused, UsageError
from tests.approval.rig import PEOPLE, Rig, keys


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return keys(tmp_path_factory.mktemp("keys"), *PEOPLE, "mallory")


@pytest.fixture
def signed(rig: Rig, signers: dict[str, Path]) -> Rig:
    """Alice's key is good for any role, Bob's and Carol's are bound to their own."""
    lines = []
    for name, role in PEOPLE.items():
        bound = "" if name == "alice" else f'namespaces="deploy-gate.*.{role}" '
        lines.append(f"{name} {bound}{signers[name].with_suffix('.pub').read_text()}")
    (rig.root / "allowed_signers").write_text("".join(lines))
    rig.table["approval"]["allowed_signers"] = "allowed_signers"
    return rig


def change(rig: Rig, statement: str, **values: str) -> None:
    """What somebody does who can write to the gate's records."""
    rig.store.execute(sa.text(statement).bindparams(**values))


def test_three_signatures_are_permission(signed: Rig, signers: dict[str, Path]) -> None:
    for name, role in PEOPLE.items():
        signed.approve(role, "ci", name=name, key=signers[name])
    assert signed.why() == []
    assert all(item.signoff and item.signoff.signature for item in signed.ask().conditions)


def test_a_login_alone_signs_nothing(signed: Rig) -> None:
    with pytest.raises(UsageError, match="needs a signature") as fault:
        signed.approve("business", "carol")
    assert "--key" in str(fault.value.next_step)
    assert len(signed.why()) == 3


def test_a_key_that_is_not_the_persons_signs_nothing(signed: Rig, signers: dict[str, Path]) -> None:
    with pytest.raises(Refused, match="none that carol may give for business"):
        signed.approve("business", "carol", name="carol", key=signers["mallory"])
    with pytest.raises(Refused, match="none that carol may give for business"):
        signed.approve("business", "alice", name="carol", key=signers["alice"])
    assert len(signed.why()) == 3


def test_a_key_bound_to_one_role_signs_for_no_other(signed: Rig, signers: dict[str, Path]) -> None:
    signed.table["approval"]["people"]["bob"]["roles"].append("business")
    signed.approve("security", "bob", name="bob", key=signers["bob"])
    with pytest.raises(Refused, match="none that bob may give for business"):
        signed.approve("business", "bob", name="bob", key=signers["bob"])


def test_a_key_that_is_not_there_is_told(signed: Rig, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot sign"):
        signed.approve("business", "carol", name="carol", key=tmp_path / "no-key")


FORGED = {
    "no signature": "UPDATE signoffs SET signature = ''",
    "no real signature": "UPDATE signoffs SET signature = '-----BEGIN SSH SIGNATURE-----'",
    "another role's": "UPDATE signoffs SET signature = (SELECT s.signature FROM signoffs s WHERE s.role = 'technical')",
    "a longer life": "UPDATE signoffs SET expires_at = '2099-01-01T00:00:00+00:00'",
    "another person": "UPDATE signoffs SET by = 'alice' WHERE by = 'carol'",
}


@pytest.mark.parametrize("statement", FORGED.values(), ids=FORGED.keys())
def test_a_record_that_was_changed_fits_no_signature(signed: Rig, signers: dict[str, Path], statement: str) -> None:
    signed.approve("technical", "x", name="alice", key=signers["alice"])
    signed.approve("business", "x", name="carol", key=signers["carol"])
    change(signed, statement)
    assert any("sign-off business" in text and "missing" not in text for text in signed.why()), signed.why()


def test_a_signature_for_one_release_does_not_sign_another(signed: Rig, signers: dict[str, Path]) -> None:
    signed.approve("business", "x", name="carol", key=signers["carol"])
    (signed.root / "releases" / "1.1.0" / "evil.py").write_text("")
    commit = releases.read(signed.root / "releases" / "1.1.0").commit
    digest = signed.manifest("1.1.0", commit=commit).digest
    change(signed, "UPDATE signoffs SET digest = :digest", digest=digest)
    assert any("is none that carol may give" in text for text in signed.why())


def test_a_signer_struck_from_the_file_has_signed_nothing(signed: Rig, signers: dict[str, Path]) -> None:
    signed.approve("business", "x", name="carol", key=signers["carol"])
    (item,) = Book(signed.store).signoffs(version="1.1.0")
    file = signed.root / "allowed_signers"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("carol")))
    assert "is none that carol may give" in signatures.fault(item, file)
    assert len(signed.why()) == 3
    file.unlink()
    assert "does not exist, so that no signature can be verified" in signatures.fault(item, file)
    assert len(signed.why()) == 3


def test_a_key_that_is_added_later_voids_what_was_signed_and_has_signed_nothing(
    signed: Rig, signers: dict[str, Path]
) -> None:
    signed.approve("business", "x", name="carol", key=signers["carol"])
    with (signed.root / "allowed_signers").open("a") as file:
        file.write(f"alice,bob,carol {signers['mallory'].with_suffix('.pub').read_text()}")
    why = signed.why()
    assert any("sign-off business: carol" in text and "allowed signers here) has changed" in text for text in why), why
    assert sum("missing" in text for text in why) == 2


@pytest.mark.parametrize(("which", "mode"), [("file", 0o664), ("file", 0o602), ("folder", 0o775)])
def test_a_file_that_others_may_write_verifies_nothing(
    signed: Rig, signers: dict[str, Path], which: str, mode: int
) -> None:
    file = signed.root / "allowed_signers"
    place = file if which == "file" else signed.root
    place.chmod(mode)
    with pytest.raises(Refused, match="others than its owner may write") as fault:
        signed.approve("business", "x", name="carol", key=signers["carol"])
    assert fault.value.next_step == f"chmod go-w {place}"


def test_in_a_folder_with_the_sticky_bit_nobody_replaces_it(signed: Rig) -> None:
    signed.root.chmod(0o1777)
    assert signatures.writable_by_others(signed.root / "allowed_signers") is None


@pytest.mark.parametrize(
    ("signed_in", "expires_in", "told"),
    [(0, 9000, "longer than valid_days = 30"), (365, 380, "which is still to come"), (0, 30, "")],
)
def test_a_signer_cannot_give_a_sign_off_a_longer_life(
    signed: Rig, signers: dict[str, Path], signed_in: int, expires_in: int, told: str
) -> None:
    """Whoever may sign and can write to the records: the signature is good, the times are of their own making."""
    signed.approve("business", "x", name="carol", key=signers["carol"])
    (item,) = Book(signed.store).signoffs(version="1.1.0")
    made = replace(
        item,
        signed_at=item.signed_at + timedelta(days=signed_in),
        expires_at=item.signed_at + timedelta(days=expires_in),
    )
    Book(signed.store).sign(replace(made, signature=signatures.sign(made, signers["carol"])))
    change(signed, "DELETE FROM signoffs WHERE id = :id", id=str(item.id))
    why = [text for text in signed.why() if "business" in text]
    assert len(why) == (1 if told else 0)
    assert all(told in text for text in why)


def test_whatever_the_signed_text_says_is_bound(signed: Rig, signers: dict[str, Path]) -> None:
    signed.approve("business", "x", name="carol", key=signers["carol"])
    (item,) = Book(signed.store).signoffs(version="1.1.0")
    allowed = signed.root / "allowed_signers"
    assert signatures.fault(item, allowed) == ""
    subject = item.subject
    others = [replace(item, subject=replace(subject, **{name: "x"})) for name in vars(subject)]
    others += [replace(item, role="security"), replace(item, deployment=1), replace(item, signed_at=signed.now.max)]
    assert all(signatures.fault(other, allowed) for other in others)


def test_a_key_where_nothing_is_signed_is_wrong_use(rig: Rig, signers: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="--key"):
        rig.approve("business", "carol", key=signers["carol"])
