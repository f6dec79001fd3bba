"""What office documents cost: 50 pages of Word and PDF, 20 slides, 10,000 rows, and changes of them.

    python bench/documents.py [--rounds 3]

Times are seconds of the processor, and ratios to a loop of plain Python measured in the same run. The first round,
which imports the libraries, is told apart.
"""

import argparse
import io
import time
from collections.abc import Callable

import pypdf

from calibration import measure
from portal.tools.office import markdown, pages, sheets, slides, slides_edit, word, word_edit
from portal.tools.office.content import Content, Look
from portal.tools.office.workbook import Workbook

SENTENCE = "The harvest of this year was good, since water came at night and the **rows** stand wider than before. "
TABLE = "| Fruit | Region | Tonnes |\n|---|---|---:|\n" + "\n".join(
    f"| Pear {n} | North | {n * 12} |" for n in range(12)
)
CHART = '```chart\n{"kind": "bar", "title": "Yield", "labels": ["A", "B", "C"], "series": {"t": [1, 3, 2]}}\n```'
ROWS = 10_000


def read(text: str) -> Content:
    return markdown.parse(text, lambda source, caption: None)


def long_text() -> Content:
    """About 50 pages: 50 sections of paragraphs, lists and a table, and a chart in every tenth."""
    parts = []
    for number in range(50):
        chart = CHART if number % 10 == 0 else ""
        body = "\n\n".join(SENTENCE * 5 for _ in range(3))
        parts.append(f"# Part {number}\n\n{body}\n\n- one\n- two\n  - three\n\n{TABLE}\n\n{chart}\n\n\\newpage")
    return read("\n\n".join(parts))


def deck() -> Content:
    """20 slides: bullets, tables and charts."""
    bodies = ["- first point\n- second point\n- third", TABLE, CHART]
    return read("\n\n".join(f"## Slide {number}\n\n{bodies[number % 3]}" for number in range(20)))


def table() -> list[sheets.Sheet]:
    head = ["Number", "Name", "Region", "Amount", "Price", "Day", "Share", "Sum"]
    rows = [
        [n, f"Item {n}", "North", n * 3, n * 0.5, "2026-01-05", "12.5 %", f"=D{n + 2}*E{n + 2}"] for n in range(ROWS)
    ]
    return [sheets.Sheet(rows=[head, *rows], formats={"Price": "euro"}, totals=["Sum"])]


def changed(data: bytes) -> bytes:
    book = Workbook(data)
    page = book.sheet()
    page.put("B2", 5)
    for number in range(100):
        page.append([number, "new"])
    return book.saved()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    text, show, cells, more = long_text(), deck(), table(), read("## More\n\nWords")
    made: dict[str, bytes] = {}
    work: dict[str, Callable[[], bytes]] = {
        "word_50_pages": lambda: word.write(text),
        "pdf_50_pages": lambda: pages.write(text),
        "slides_20": lambda: slides.write(show),
        "sheet_10000_rows": lambda: sheets.Book(Look()).write(cells),
        "word_section": lambda: word_edit.replace(made["word_50_pages"], "Part 7", more),
        "slides_more": lambda: slides_edit.append(made["slides_20"], more),
        "sheet_cells": lambda: changed(made["sheet_10000_rows"]),
    }
    print(f"{rounds} rounds, medians; the first, which imports the libraries, apart:")
    for name, make in work.items():
        first = timed(make, made, name)
        usual, ratio = measure(lambda make=make, name=name: timed(make, made, name), rounds=rounds)
        size = len(made[name]) / 1000
        print(f"{name:18} {usual:6.2f} s ({ratio:6.1f} x calibration), first {first:5.2f} s, {size:8.1f} kB")
    print(f"pages of the PDF: {len(pypdf.PdfReader(io.BytesIO(made['pdf_50_pages'])).pages)}")


def timed(make: Callable[[], bytes], made: dict[str, bytes], name: str) -> float:
    """Seconds of the processor that it takes: others may be at work on this machine."""
    began = time.process_time()
    made[name] = make()
    return time.process_time() - began


if __name__ == "__main__":
    main()
