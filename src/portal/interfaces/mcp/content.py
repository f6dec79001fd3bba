"""Tools and what they bring, as the Model Context Protocol has them."""

import base64
from pathlib import PurePath
from typing import TypeAlias
from urllib.parse import quote

import mcp_types as types

from portal.core.items import JsonObject
from portal.core.tools import Risk, ToolFile, ToolResult, ToolSpec
from portal.mcp.specs import RISK, UNTRUSTED

_TEXTUAL = ("application/json", "application/xml", "application/javascript", "image/svg+xml")
_LONGEST_TEXT = 200_000
Content: TypeAlias = list[types.ContentBlock]


def described(spec: ToolSpec) -> types.Tool:
    """A tool, with what it may do to the world as hints."""
    return types.Tool(
        name=spec.name,
        title=spec.title or None,
        description=spec.description,
        input_schema=spec.parameters,
        annotations=_hints(spec),
        _meta={RISK: spec.risk, UNTRUSTED: spec.untrusted},
    )


def _hints(spec: ToolSpec) -> types.ToolAnnotations:
    looks: dict[Risk, bool] = {"read": False, "fetch": True}
    if spec.risk in looks:
        return types.ToolAnnotations(read_only_hint=True, open_world_hint=looks[spec.risk])
    return types.ToolAnnotations(
        read_only_hint=False,
        destructive_hint=not spec.harmless,
        idempotent_hint=spec.idempotent,
        open_world_hint=spec.risk in ("network", "spend"),
    )


def answered(result: ToolResult) -> types.CallToolResult:
    """What a call brought: text first, then its files, then links to those that are kept elsewhere."""
    content: Content = [types.TextContent(text=result.text)] if result.text or not (result.files or result.kept) else []
    content += [_file(one) for one in result.files]
    content += [_link(one) for one in result.kept]
    meta = {UNTRUSTED: True} if result.untrusted else None
    return types.CallToolResult(content=content, is_error=result.failed, _meta=meta)


def failed(text: str) -> types.CallToolResult:
    """A call that did not work, in words for a model."""
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


def _file(file: ToolFile) -> types.ContentBlock:
    kind = file.content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/") and kind != "image/svg+xml":
        return types.ImageContent(data=_base64(file.data), mime_type=kind)
    if kind.startswith("audio/"):
        return types.AudioContent(data=_base64(file.data), mime_type=kind)
    return types.EmbeddedResource(resource=_resource(file, kind))


def _resource(file: ToolFile, kind: str) -> types.TextResourceContents | types.BlobResourceContents:
    """Its name stands in the address, which leads nowhere: what it holds is here."""
    uri = f"file:///{quote(PurePath(file.name).name or 'file')}"
    if kind.startswith("text/") or kind in _TEXTUAL:
        try:
            text = bytes(file.data).decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if text and len(text) <= _LONGEST_TEXT:
            return types.TextResourceContents(uri=uri, mime_type=kind, text=text)
    return types.BlobResourceContents(uri=uri, mime_type=kind, blob=_base64(file.data))


def _link(kept: JsonObject) -> types.ResourceLink:
    uri = kept.get("uri") or f"/v1/files/{kept['file_id']}/content"
    return types.ResourceLink(uri=uri, name=kept["filename"], mime_type=kept["content_type"], size=kept["size"])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
