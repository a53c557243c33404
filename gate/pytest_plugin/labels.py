"""What cases say about themselves with markers: read, and refused at collection when they contradict themselves."""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection
from typing import Any

import pytest

from gate.results import Category, Severity
from gate.suites.events import UNKNOWN, Label

_SEVERITIES = {str(severity): severity for severity in Severity}
_PLAIN = ("manual", "corruption")
_OURS = {"category", "requires", *_PLAIN, *_SEVERITIES}


_LABEL = pytest.StashKey[Label]()


def label(item: pytest.Item) -> Label:
    """The label of a collected case; whatever is wrong with it is told by ``faults``."""
    if _LABEL not in item.stash:
        item.stash[_LABEL] = _read(item)
    return item.stash[_LABEL]


def _read(item: pytest.Item) -> Label:
    categories = [mark.args[0] for mark in item.iter_markers("category") if mark.args]
    severities = [severity for name, severity in _SEVERITIES.items() if item.get_closest_marker(name)]
    severity = severities[0] if severities else Severity.HIGH
    category = str(categories[0]) if categories else UNKNOWN
    return Label(category, severity, _title(item), item.get_closest_marker("corruption") is not None)


def requirements(item: pytest.Item) -> list[str]:
    """What the environment must declare for a case to apply."""
    return [name for mark in item.iter_markers("requires") for name in mark.args]


def faults(item: pytest.Item, known_requirements: Collection[str], option: str) -> list[str]:
    """What is wrong with the markers of a case, each as a sentence with what to write instead. ``option`` is how a
    requirement begins that is the name of an option."""
    found = []
    categories = list(item.iter_markers("category"))
    known = [str(category) for category in Category]
    if not categories:
        found.append('has no category; write pytestmark = pytest.mark.category("…") at the top of the file')
    for mark in categories:
        if len(mark.args) != 1 or mark.kwargs or mark.args[0] not in known:
            found.append(f"category{_shown(mark)} is unknown; the categories are {', '.join(known)}")
    severities = [mark for name in _SEVERITIES for mark in item.iter_markers(name)]
    if len({mark.name for mark in severities}) > 1:
        found.append(f"is {' and '.join(sorted({mark.name for mark in severities}))}; write one severity")
    for mark in item.iter_markers("requires"):
        unknown = [name for name in mark.args if name not in known_requirements and not _names_option(name, option)]
        if unknown or not mark.args or mark.kwargs:
            named = [*sorted(known_requirements), f"{option}NAME"]
            found.append(f"requires{_shown(mark)} is unknown; known are {', '.join(named)}")
    found += [
        f"{mark.name}{_shown(mark)}: write {mark.name} without arguments"
        for mark in [*severities, *(mark for name in _PLAIN for mark in item.iter_markers(name))]
        if mark.args or mark.kwargs
    ]
    return [f"{item.nodeid}: {text}" for text in found]


def _names_option(name: object, option: str) -> bool:
    return isinstance(name, str) and name.startswith(option) and name != option


def marks_on_nothing(module: types.ModuleType, collected: Collection[str]) -> list[str]:
    """Functions and classes of a module that carry a marker of ours although pytest collects nothing of them."""
    return [
        f"{module.__name__}.{name}: has the marker {mark.name}, but pytest does not collect it; is the name wrong?"
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
        and name not in collected
        for mark in getattr(value, "pytestmark", [])
        if mark.name in _OURS
    ]


def _shown(mark: pytest.Mark) -> str:
    shown = [repr(value) for value in mark.args] + [f"{key}={value!r}" for key, value in mark.kwargs.items()]
    return f"({', '.join(shown)})"


def _title(item: pytest.Item) -> str:
    """The first line of the docstring, or the name as words; with the parameters of a parametrized case."""
    function: Any = getattr(item, "obj", None)
    lines = (inspect.getdoc(function) or "").splitlines()
    name = getattr(item, "originalname", None) or item.name
    title = lines[0].rstrip(".") if lines else str(name).removeprefix("test_").replace("_", " ")
    parameters = getattr(item, "callspec", None)
    return f"{title} [{parameters.id}]" if parameters is not None else title
