"""What a tool of an MCP server answered, made into a result: text for the model, the rest as files."""

import base64
import binascii
import mimetypes
import re
from typing import TYPE_CHECKING

import orjson

from portal.core.tools import ToolFile, ToolResult

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock

_MOST_FILES = 50


def to_result(answer: "CallToolResult", tool: str, *, untrusted: bool) -> ToolResult:
    """Text joined; pictures, sounds and embedded files as files; structured content where there is no text."""
    texts: list[str] = []
    files: list[ToolFile] = []
    for block in answer.content:
        said, file = _read(block, tool, len(files) + 1)
        if said:
            texts.append(said)
        if file is not None and len(files) < _MOST_FILES:
            files.append(file)
    if not texts and answer.structured_content is not None:
        texts.append(orjson.dumps(answer.structured_content, option=orjson.OPT_INDENT_2).decode())
    failed = bool(answer.is_error)
    text = "\n".join(texts) or ("The tool failed and did not say why." if failed else "")
    return ToolResult(text=text, failed=failed, files=files, untrusted=untrusted)


def _read(block: "ContentBlock", tool: str, number: int) -> tuple[str, ToolFile | None]:
    """What a model reads of one block, and the file that it is."""
    if block.type == "text":
        return block.text, None
    if block.type == "image" or block.type == "audio":
        return _file(block.data, block.mime_type, _name(tool, number, block.mime_type), block.type)
    if block.type == "resource_link":
        return f"[{block.title or block.name}: {block.uri}]", None
    held = block.resource
    kind = held.mime_type or "application/octet-stream"
    if hasattr(held, "text"):
        return f"[{held.uri}]\n{held.text}", None
    last = str(held.uri).rstrip("/").rpartition("/")[2]
    return _file(held.blob, kind, last if "." in last else _name(tool, number, kind), "file")


def _file(data: str, kind: str, name: str, what: str) -> tuple[str, ToolFile | None]:
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error:
        return f"[a damaged {what} was left out]", None
    return f"[{what}: {name}]", ToolFile(name=name[-200:], content_type=kind, data=content)


def _name(tool: str, number: int, kind: str) -> str:
    return file_name(f"{tool}-{number}", kind)


def file_name(stem: str, kind: str) -> str:
    """With the ending that files of this content type have."""
    subtype = re.fullmatch(r"(?:audio|image|video)/([a-z0-9]{1,5})", kind)
    return stem + (mimetypes.guess_extension(kind) or (f".{subtype[1]}" if subtype else ".bin"))
