"""The example's Dockerfile and compose file are what their linters take them for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
STORE = ROOT / "example" / "store"


@pytest.mark.parametrize(
    "argv",
    [
        ["hadolint", "--failure-threshold", "style", str(STORE / "Dockerfile")],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(STORE / "compose.yaml")],
    ],
    ids=["Dockerfile", "compose.yaml"],
)
def test_it_is_clean(argv: list[str]) -> None:
    ended = subprocess.run(
        [str(PROGRAMS / argv[0]), *argv[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_image_is_called_latest_and_no_secret_has_a_default() -> None:
    text = (STORE / "compose.yaml").read_text()
    images = re.findall(r"(?m)^    image: (.+)$", text)
    assert len(images) == 4
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert ":-" not in text
