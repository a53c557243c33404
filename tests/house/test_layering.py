"""Who may import whom: the rules of docs/architecture.md, kept by reading the code's imports."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = {
    "errors",
    "results",
    "judging",
    "live",
    "config",
    "redact",
    "schedule",
    "suites.events",
    "suites.junit",
    "monitoring.phases",
    "conditions.soak",
}
PURE_MODULES = {f"gate.{name}" for name in PURE}
PURE_LIBRARIES = {"pydantic", "pydantic_core"}
ENGINES = {"process", "docker", "swarm", "command"}
DECIDES_NOTHING = {"gate.report", "gate.evidence.recording", "gate.notify"}
TELLERS = {"gate.report", "gate.schemas", "gate.notify", "gate.evidence", "gate.commands", "gate.cli"}


def imports_of(file: Path) -> set[str]:
    """Dotted names of the modules a file imports, wherever in it the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def files_of(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder} holds no Python file: this test would check nothing"
    return files


def pure_files(name: str) -> list[Path]:
    """The files of a pure module; of one in a package that is not pure as a whole, also what importing that runs."""
    place = ROOT / "gate" / name.replace(".", "/")
    files = files_of(str(place.relative_to(ROOT))) if place.is_dir() else [place.with_suffix(".py")]
    return [*files, *(place.parent.glob("__init__.py") if "." in name else ())]


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_import_only_each_other(name: str) -> None:
    for file in pure_files(name):
        for imported in imports_of(file):
            top = imported.partition(".")[0]
            if top == "gate":
                assert imported == "gate" or within(imported, PURE_MODULES), f"{file} imports {imported}"
            else:
                assert top in sys.stdlib_module_names | PURE_LIBRARIES, f"{file} imports {imported}"
                assert top not in {"subprocess", "socket", "time", "os"}, f"{file} touches the world: {imported}"


def test_engines_know_neither_each_other_nor_what_decides() -> None:
    forbidden = {
        "gate.deployment.pipeline",
        "gate.judging.verdict",
        "gate.report",
        "gate.evidence.recording",
        "gate.deployment.run",
        "gate.steps",
    }
    for file in files_of("gate/engines"):
        for imported in imports_of(file):
            assert not within(imported, forbidden), f"{file.name} imports {imported}"
            if file.name != "__init__.py":  # it alone creates them
                others = ENGINES - {file.stem}
                assert not within(imported, {f"gate.engines.{name}" for name in others}), f"{file} imports {imported}"


def test_signals_are_read_by_those_who_decide_nothing() -> None:
    values = {"gate.live.observations", "gate.errors", "gate.config", "gate.routing.dial"}
    allowed = {"gate.signals", "gate.routing.traffic", "gate.machine.shell", *values}
    for file in files_of("gate/signals"):
        for imported in imports_of(file):
            top = imported.partition(".")[0]
            assert within(imported, allowed) or imported == "gate" or top in sys.stdlib_module_names, (
                f"{file.name} imports {imported}"
            )


def test_only_the_shell_starts_processes() -> None:
    for file in files_of("gate"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        starts = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in {"Popen", "check_output", "check_call", "system", "posix_spawn", "fork", "execv", "execvp"}
            and isinstance(node.value, ast.Name)
            and node.value.id in {"subprocess", "os"}
        ]
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func in starts]
        assert not calls or file.name in {"shell.py", "tied.py"}, f"{file.relative_to(ROOT)} starts a process"


def test_only_the_plugin_imports_pytest() -> None:
    for file in files_of("gate"):
        uses = any(within(imported, {"pytest", "_pytest"}) for imported in imports_of(file))
        assert not uses or "pytest_plugin" in file.parts, f"{file.relative_to(ROOT)} imports pytest"


@pytest.mark.parametrize("folder", ["checks", "smoke"])
def test_cases_import_pytest_and_the_standard_library_only(folder: str) -> None:
    for file in files_of(folder):
        for imported in imports_of(file):
            top = imported.partition(".")[0]
            assert top in sys.stdlib_module_names | {"pytest"}, f"{file.relative_to(ROOT)} imports {imported}"


def test_nothing_that_decides_knows_the_report() -> None:
    for file in files_of("gate"):
        if within(".".join(("gate", *file.relative_to(ROOT / "gate").with_suffix("").parts)), TELLERS):
            continue
        for imported in imports_of(file):
            assert not within(imported, DECIDES_NOTHING), f"{file.relative_to(ROOT)} imports {imported}"


def test_the_gate_knows_no_shop() -> None:
    for file in files_of("gate"):
        assert not any(within(imported, {"example", "store"}) for imported in imports_of(file)), file


def test_nobody_sleeps() -> None:
    for folder in ("gate", "checks", "smoke", "fixtures", "deploy_gate.py"):
        files = files_of(folder) if not folder.endswith(".py") else [ROOT / folder]
        for file in files:
            assert "time.sleep" not in imports_of(file), f"{file.relative_to(ROOT)} imports sleep"
            assert "time.sleep(" not in file.read_text(encoding="utf-8"), f"{file.relative_to(ROOT)} sleeps"
