"""A release that was rolled back here is refused until a person says why it may try again."""

from __future__ import annotations

from tests.commands.little import little


def test_what_failed_is_refused_until_a_person_says_why() -> None:
    with little(None, "1.0.0") as here:
        here.release("1.1.0")
        here.smoke("import os; assert os.path.exists('mended'), 'the planted fault'")
        failed = here.gate("--version", "1.1.0")
        assert failed.code == 4, "1.0.0 fails its smoke test as well"
        (here.root / "mended").touch()
        assert here.gate("recover").code == 1
        for words in ((), ("--dry-run",), ("--again", "  ")):
            refused = here.gate("--version", "1.1.0", *words)
            assert (refused.code, refused.document["outcome"]) == (3, "REFUSED"), refused.told
            assert "1.1.0 was rolled back in deployment 2" in refused.reasons
            assert "the planted fault" in refused.reasons
            assert '--again "what is different now"' in refused.told
        assert here.serving() == "1.0.0"
        again = here.gate("--version", "1.1.0", "--again", "the file is there")
        assert again.code == 0, again.told
        assert any(note.endswith(": the file is there") for note in again.document["notes"])
        assert here.gate("--version", "1.1.0").code == 0, "it was kept since"
