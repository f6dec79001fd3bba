"""Files of at most 400 lines, functions of at most 60; the list of exceptions only shrinks."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

MAX_FILE, MAX_FUNCTION, MAX_VIEW = 400, 60, 250


def _sizes(root: Path) -> Iterator[tuple[str, int, int]]:
    """Name, lines and limit of every file and function."""
    for folder in ("src", "scripts", "bench"):
        for path in sorted((root / folder).rglob("*.py")):
            name, text = str(path.relative_to(root)), path.read_text(encoding="utf-8")
            yield name, text.count("\n"), MAX_FILE
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1, MAX_FUNCTION
    static = root / "src/portal/interfaces/web/static"
    for path in sorted(static.rglob("*.js")):
        if "vendor" not in path.parts:
            limit = MAX_VIEW if "views" in path.parts else MAX_FILE
            yield str(path.relative_to(root)), path.read_text(encoding="utf-8").count("\n"), limit


def test_what_is_too_large_is_a_known_exception_and_every_exception_is_needed(root: Path) -> None:
    exceptions = tomllib.loads((root / "tests/gates/size_exceptions.toml").read_text(encoding="utf-8"))

    too_large = {name: size for name, size, limit in _sizes(root) if size > limit}

    assert too_large == exceptions
