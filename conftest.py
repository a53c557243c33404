"""Only wiring: the gate's pytest plugin, and every file of fixtures/."""

from pathlib import Path

_FIXTURES = sorted(file.stem for file in (Path(__file__).parent / "fixtures").glob("[!_]*.py"))

pytest_plugins = ["gate.pytest_plugin", *(f"fixtures.{name}" for name in _FIXTURES)]
