"""Codes that are made can be read."""

from pathlib import Path

import pytest
from tests.tools.loopback import call, conversation, family, refusal


async def test_a_code_is_made_and_read_again(tmp_path: Path) -> None:
    qr, talk = family("qr", tmp_path), conversation(tmp_path)

    made = await call(qr, "make_qr", talk, text="https://example.org/ä")
    read = await call(qr, "read_qr", talk, path="qr.png")

    assert made.files[0].content_type == "image/png"
    assert read.text.endswith(": https://example.org/ä")


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
async def test_codes_in_other_formats(tmp_path: Path, name: str, start: bytes) -> None:
    made = await call(family("qr", tmp_path), "make_qr", conversation(tmp_path), text="hi", save_as=name)

    assert made.files[0].data.startswith(start)


async def test_what_cannot_be_made_or_read(tmp_path: Path) -> None:
    from PIL import Image

    qr, talk = family("qr", tmp_path), conversation(tmp_path)
    (talk.folder / "a.png").write_bytes(b"no picture")
    Image.new("1", (9000, 9000)).save(talk.folder / "huge.png")
    Image.new("L", (90, 90)).save(talk.folder / "empty.png")

    assert "must end in" in await refusal(qr, "make_qr", talk, text="hi", save_as="a.bmp")
    assert "does not fit" in await refusal(qr, "make_qr", talk, text="x" * 9000)
    assert "not a picture" in await refusal(qr, "read_qr", talk, path="a.png")
    assert "too large" in await refusal(qr, "read_qr", talk, path="huge.png")
    assert "no code" in (await call(qr, "read_qr", talk, path="empty.png")).text
