"""A suite's record as JUnit XML, for the CI. Made from the record, so the two cannot disagree. Pure."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from gate.results import Case, CaseOutcome, SuiteResult

_ELEMENTS = {
    CaseOutcome.FAILED: "failure",
    CaseOutcome.ERROR: "error",
    CaseOutcome.SKIPPED: "skipped",
    CaseOutcome.NOT_APPLICABLE: "skipped",
}
# XML 1.0 has no form at all for these characters.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def of(result: SuiteResult) -> str:
    """The document. A planned case that never reported is an error in it, and so is a suite that broke."""
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", name=_text(result.name), time=f"{result.seconds:.3f}")
    for case in result.cases:
        _case(suite, case)
    for case_id in result.missing:
        element = ElementTree.SubElement(suite, "testcase", _name(case_id), time="0")
        why = f"the run was ended: {result.stopped}" if result.stopped else "never reported"
        # Ended on a decision, the rest is only not run; in any other run a case that is silent is an error.
        ElementTree.SubElement(element, "skipped" if result.stopped else "error", message=_text(why))
    if result.broken:
        element = ElementTree.SubElement(suite, "testcase", classname=_text(result.name), name="the suite", time="0")
        ElementTree.SubElement(element, "error", message=_text(result.broken))
    suite.set("tests", str(len(suite)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, case: Case) -> None:
    element = ElementTree.SubElement(suite, "testcase", _name(case.id), time=f"{case.seconds:.3f}")
    properties = ElementTree.SubElement(element, "properties")
    for name in ("category", "severity", "outcome", "title"):
        ElementTree.SubElement(properties, "property", name=name, value=_text(str(getattr(case, name))))
    tag = _ELEMENTS.get(case.outcome)
    if tag is not None:
        ElementTree.SubElement(element, tag, message=_text(case.message)).text = _text(case.details) or None
    elif case.message or case.confirmation:
        told = "\n".join(filter(None, (case.confirmation, case.message)))
        ElementTree.SubElement(element, "system-out").text = _text(told)


def _name(case_id: str) -> dict[str, str]:
    """``checks/test_x.py::test_y`` as classname and name."""
    file, _, name = case_id.partition("::")
    return {"classname": _text(file.removesuffix(".py").replace("/", ".")), "name": _text(name or file)}


def _text(value: str) -> str:
    return _IMPOSSIBLE.sub("�", value)
