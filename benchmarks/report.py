"""How long the report takes to make and to open, by number of cases. Run: python -m benchmarks.report [CASES …]

One case in ten fails with a traceback of 2 KB. The browser's part needs a chromium and is left out without one.
``--failing``: every case fails with 16 kB instead, and what is measured is how long the secrets take to be taken out of
the record, with ten of them in the environment, and then the page.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import sync_playwright

from gate.redact import Redactor
from gate.report import document
from gate.report.html import render
from gate.report.record import DecisionRecord, SuiteRecord
from gate.results import Case, CaseOutcome, Category, Measurement, Severity
from tests.report import samples

# Opening: until the browser has laid the page out. Filtering: from the click until the next frame is painted.
_FILTER = """async () => {
  const before = performance.now();
  document.querySelector('.filters button[data-outcome="failed"]').click();
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return (performance.now() - before) / 1000;
}"""


def record(number: int) -> DecisionRecord:
    """A released deployment with ``number`` cases."""
    trace = "Traceback (most recent call last):\n" + '  File "smoke/flow.py", line 41, in test_flow\n' * 45
    categories = list(Category)
    cases = tuple(
        Case(
            f"smoke/flow_{index % 97}.py::test_flow[{index}]",
            categories[index % len(categories)],
            Severity.HIGH,
            CaseOutcome.FAILED if index % 10 == 0 else CaseOutcome.PASSED,
            0.012,
            f"Flow number {index} works",
            "answered 500, expected 201" if index % 10 == 0 else "",
            trace if index % 10 == 0 else "",
            (Measurement("response_time", 0.04, "seconds", 24, "< 1 s"),),
        )
        for index in range(number)
    )
    return replace(samples.released(), suites=(SuiteRecord("smoke", "front", number, 120.0, cases),))


def measure(number: int, folder: Path, chromium: str | None) -> list[str]:
    """One line of the table: cases, seconds to make, size, seconds to open, seconds to filter."""
    made = document.to_json(record(number), Redactor(["a-secret-value"]))
    begin = time.perf_counter()
    html = render(made)
    rendering = time.perf_counter() - begin
    line = [f"{number:,}", f"{rendering:.2f} s", f"{len(html.encode()) / 2**20:.2f} MB"]
    if chromium is None:
        return [*line, "–", "–"]
    file = folder / f"{number}.html"
    file.write_text(html, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        begin = time.perf_counter()
        page.goto(file.as_uri())
        page.screenshot()
        opening = time.perf_counter() - begin
        filtering = page.evaluate(_FILTER)
        browser.close()
    return [*line, f"{opening:.2f} s", f"{filtering:.2f} s"]


def failing(number: int) -> list[str]:
    """One line of the other table: cases, size of their details, seconds of the processor to redact and to render."""
    frame = (
        '  File "/srv/shop/smoke/test_core.py", line {}, in test_sale\n    assert answer.status_code == 200, answer\n'
    )
    trace = "Traceback (most recent call last):\n" + "".join(frame.format(line) for line in range(170))
    cases = tuple(
        Case(
            f"smoke/flow.py::test_flow[{index}]",
            "Core Business Flows",
            Severity.HIGH,
            CaseOutcome.FAILED,
            0.01,
            message="assert 500 == 200",
            details=f"{trace[:16_000]}\n{index}",
        )
        for index in range(number)
    )
    record_of_them = replace(samples.released(), suites=(SuiteRecord("smoke", "front", number, 120.0, cases),))
    redact = Redactor([f"s3cr et/{key}'-{key * 7919}" for key in range(10)])
    begin = time.process_time()
    made = document.to_json(record_of_them, redact)
    redacted = time.process_time()
    render(made)
    size = sum(len(case.details) for case in cases) / 1e6
    return [f"{number:,}", f"{size:.0f} MB", f"{redacted - begin:.1f} s", f"{time.process_time() - redacted:.1f} s"]


def main() -> None:
    if sys.argv[1:2] == ["--failing"]:
        print("| failing cases | details | redacted in | rendered in |\n|---:|---:|---:|---:|")
        for number in [int(word) for word in sys.argv[2:]] or [1000, 10_000]:
            print("|", " | ".join(failing(number)), "|", flush=True)
        return
    numbers = [int(word) for word in sys.argv[1:]] or [50, 1000, 10_000]
    print("| cases | made in | size | opened in | filtered in |\n|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            print("|", " | ".join(measure(number, Path(folder), shutil.which("chromium"))), "|", flush=True)


if __name__ == "__main__":
    main()
