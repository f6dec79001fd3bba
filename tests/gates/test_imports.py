"""Who may import whom, and what an import costs."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"pydantic", "fastapi", "uvicorn", "aiohttp", "apsw", "rich", "prompt_toolkit", "orjson"}


def test_rooms_import_downwards_only(root: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]

    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "program",
    [
        "import portal",
        "from portal.cli import portal; portal(['--help'], standalone_mode=False)",
        "from portal.cli import portal; portal(['version'], standalone_mode=False)",
    ],
)
def test_cheap_things_import_nothing_heavy(program: str) -> None:
    code = f"{program}\nimport sys\nprint(sorted({HEAVY!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_starting_a_server_leaves_heavy_libraries_for_their_first_use() -> None:
    heavy = {"rich", "prompt_toolkit", "psycopg", "llama_cpp", "jsonschema", "websockets.legacy"}
    code = f"import portal.cli.serve\nimport sys\nprint(sorted({heavy!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
