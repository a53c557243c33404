"""Only wiring: the gate's pytest plugin, and every file of fixtures/."""

from pathlib import Path

import pytest


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Not by ``pytest_plugins``: each file named there is looked for among all installed packages first, which was a
    tenth of a second of every run."""
    pluginmanager.import_plugin("gate.pytest_plugin")
    for file in sorted((Path(__file__).parent / "fixtures").glob("[!_]*.py")):
        pluginmanager.import_plugin(f"fixtures.{file.stem}")
