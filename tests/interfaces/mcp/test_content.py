"""What tools are and bring, as the protocol has it."""

import base64

import mcp_types as types
import pytest

from portal.core.tools import Risk, ToolFile, ToolResult, ToolSpec
from portal.interfaces.mcp.content import answered, described, failed


def spec(risk: Risk, **more: bool) -> ToolSpec:
    return ToolSpec(name="a", description="A tool.", risk=risk, toolset="t", **more)


@pytest.mark.parametrize(
    ("one", "reads", "destroys", "again", "reaches"),
    [
        (spec("read"), True, None, None, False),
        (spec("fetch"), True, None, None, True),
        (spec("write"), False, True, False, False),
        (spec("write", harmless=True, idempotent=True), False, False, True, False),
        (spec("execute"), False, True, False, False),
        (spec("network"), False, True, False, True),
        (spec("spend"), False, True, False, True),
    ],
)
def test_the_risk_of_a_tool_as_hints(
    one: ToolSpec, reads: bool, destroys: bool | None, again: bool | None, reaches: bool
) -> None:
    tool = described(one)

    assert tool.annotations == types.ToolAnnotations(
        read_only_hint=reads, destructive_hint=destroys, idempotent_hint=again, open_world_hint=reaches
    )
    assert tool.meta == {"portal/risk": one.risk, "portal/untrusted": False}


def file(name: str, kind: str, data: bytes) -> ToolFile:
    return ToolFile(name=name, content_type=kind, data=data)


def test_files_in_the_form_that_fits_their_kind() -> None:
    made = answered(
        ToolResult(
            files=[
                file("a.png", "image/png", b"png"),
                file("a.svg", "image/svg+xml", b"<svg/>"),
                file("a.wav", "audio/wav", b"wav"),
                file("a b.txt", "text/plain; charset=utf-8", b"text"),
                file("odd.txt", "text/plain", b"\xff"),
                file("long.json", "application/json", b"1" * 200_001),
                file("/", "application/pdf", b"%PDF"),
            ],
            kept=[{"file_id": "file_1", "filename": "k.pdf", "content_type": "application/pdf", "size": 4}],
            untrusted=True,
        )
    )

    picture, drawing, sound, text, odd, long, nameless, kept = made.content
    assert isinstance(picture, types.ImageContent)
    assert base64.b64decode(picture.data) == b"png"
    assert isinstance(sound, types.AudioContent)
    assert isinstance(drawing, types.EmbeddedResource)
    assert isinstance(drawing.resource, types.TextResourceContents)
    assert isinstance(text, types.EmbeddedResource)
    assert isinstance(text.resource, types.TextResourceContents)
    assert (text.resource.uri, text.resource.text) == ("file:///a%20b.txt", "text")
    for one in (odd, long, nameless):
        assert isinstance(one, types.EmbeddedResource)
        assert isinstance(one.resource, types.BlobResourceContents)
    assert isinstance(kept, types.ResourceLink)
    assert kept.uri == "/v1/files/file_1/content"
    assert made.meta == {"portal/untrusted": True}


def test_text_and_failures() -> None:
    assert answered(ToolResult()).content == [types.TextContent(text="")]
    assert answered(ToolResult(text="No.", failed=True)) == failed("No.")
