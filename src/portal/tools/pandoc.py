"""Documents converted by pandoc, which must neither read nor fetch what a document names."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from portal.errors import ToolError
from portal.tools import programs

SECONDS = 100
Tree: TypeAlias = Any
"""Pandoc's own JSON: the wire."""
_KEPT = {"title", "subtitle", "author", "date", "lang"}
"""What a document may say of itself; other words there name files to take in."""


async def convert(source: Path, kind: str, ending: str, folder: Path) -> bytes:
    """The document as another kind. Raises ToolError."""
    program = programs.find(["pandoc"], "apt install pandoc, or brew install pandoc")
    target = folder / f"made.{ending}"
    writing = ["--standalone", "-t", kind, "-o", str(target)]
    try:
        await programs.run([program, "--sandbox", *writing, str(source)], folder=folder, seconds=SECONDS)
    except ToolError as error:
        if "data file" not in error.message:
            raise
        # Some builds cannot read their own templates in there: then it reads within, and writes what names no files.
        read = [program, "--sandbox", "-t", "json", str(source)]
        tree = harmless(json.loads(await programs.run(read, folder=folder, seconds=SECONDS)))
        plain = folder / "plain.json"
        plain.write_text(json.dumps(tree), encoding="utf-8")
        await programs.run([program, "-f", "json", *writing, str(plain)], folder=folder, seconds=SECONDS)
    return target.read_bytes()


def harmless(tree: Tree) -> Tree:
    """The document without pictures, whose words stay, and without what its head says beyond names and dates."""
    kept = {name: value for name, value in tree["meta"].items() if name in _KEPT}
    return {**tree, "meta": _without_pictures(kept), "blocks": _without_pictures(tree["blocks"])}


def _without_pictures(node: Tree) -> Tree:
    if isinstance(node, list):
        return [_without_pictures(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("t") == "Image":
        return {"t": "Span", "c": [["", [], []], _without_pictures(node["c"][1])]}
    return {name: _without_pictures(value) for name, value in node.items()}
