"""What is not installed is said, with the line that installs it; and a family is cheap until it is used."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("ddgs", "duckdb", "fpdf", "kreuzberg", "matplotlib", "playwright.async_api", "psycopg", "sympy",
         "zxingcpp", "python_calamine", "docx", "pptx", "xlsxwriter", "PIL")  # fmt: skip
LIGHT = ("jmespath", "pint", "regex", "segno", "selectolax", "tomli_w", "apsw", "numpy")
FAMILIES = ("web", "browser", "sql", "tables", "maths", "text", "archives", "qr", "documents")
CALLS = {
    "web web_search": {"query": "pears"},
    "browser open_in_browser": {"url": "https://example.org"},
    "sql query_database": {"database": "a.csv", "sql": "SELECT 1"},
    "sql describe_database": {"database": "shop"},
    "tables make_chart": {"kind": "line", "values": [1]},
    "maths solve_algebra": {"operation": "solve", "formula": "x"},
    "qr read_qr": {"path": "a.csv"},
    "documents read_document": {"path": "a.csv"},
    "documents make_document": {"content": "x", "save_as": "a.pdf"},
    "documents make_presentation": {"slides": [{"title": "x"}]},
    "documents make_spreadsheet": {"rows": [["x"]]},
}
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from tests.tools.loopback import conversation, family, refusal

async def main(folder, missing, families, calls):
    for name in missing:
        sys.modules[name] = None
    talk = conversation(folder)
    (talk.folder / "a.csv").write_text("a\\n1\\n")
    made = {name: family(name, folder, sql={"databases": {"shop": "postgresql://x"}}) for name in families}
    loaded = sorted(sys.modules)
    said = [await refusal(made[call.split()[0]], call.split()[1], talk, **given) for call, given in calls.items()]
    print(json.dumps({"loaded": loaded, "said": dict(zip(calls, said, strict=True))}))

asyncio.run(main(Path(sys.argv[1]), *map(json.loads, sys.argv[2:])))
"""


def run(root: Path, folder: Path, missing: object, calls: object) -> dict[str, object]:
    arguments = [str(folder), *map(json.dumps, (missing, FAMILIES, calls))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_not_installed_is_said(tmp_path: Path) -> None:
    said = run(Path(__file__).parents[2], tmp_path, HEAVY, CALLS)["said"]

    assert isinstance(said, dict)
    assert [call for call, words in said.items() if " extra " not in words] == []


def test_families_import_their_libraries_when_first_used(tmp_path: Path) -> None:
    loaded = run(Path(__file__).parents[2], tmp_path, [], {})["loaded"]

    assert isinstance(loaded, list)
    assert {*HEAVY, *LIGHT} & set(loaded) == {"apsw"}
