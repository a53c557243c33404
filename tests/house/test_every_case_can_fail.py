"""A case that cannot fail is a defect: each check and each smoke test is named by a test that plants its fault."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def cases_of(folder: str) -> list[str]:
    """Names of the test functions below a folder."""
    return sorted(
        node.name
        for file in (ROOT / folder).rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize(("folder", "least"), [("checks", 15), ("smoke", 15)])
def test_there_are_enough_cases_and_each_is_proven(folder: str, least: int) -> None:
    cases = cases_of(folder)
    assert len(cases) >= least
    places = [ROOT / "tests" / folder, ROOT / "tests" / "containers", ROOT / "tests" / "swarm"]
    proof = "\n".join(file.read_text(encoding="utf-8") for place in places for file in place.rglob("*.py"))
    unproven = [case for case in cases if not re.search(rf"\b(test_)?{case.removeprefix('test_')}\b", proof)]
    assert not unproven, f"no test in tests/{folder} plants the fault of: {', '.join(unproven)}"
