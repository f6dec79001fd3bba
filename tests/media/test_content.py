"""What a file really is, by its bytes."""

import io
import struct

import pytest
from PIL import Image

from portal.errors import MediaError, MediaRefused
from portal.media.comfyui_api import OutputFile, broken, failure, outputs, preview, refused
from portal.media.content import picture, read
from portal.testing.media_files import flac, mp4, png, wav


def made(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (9, 99, 199)).save(out, format=kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (made("png"), "image/png"),
        (made("jpeg"), "image/jpeg"),
        (made("jpeg", progressive=True, comment="x" * 300), "image/jpeg"),
        (b"\xff\xd8\xff" + made("jpeg")[2:], "image/jpeg"),
        (made("webp"), "image/webp"),
        (made("webp", lossless=True), "image/webp"),
        (made("gif"), "image/gif"),
    ],
)
def test_pictures_are_known_with_their_size_and_without_what_hangs_behind(data: bytes, content_type: str) -> None:
    found = picture(data + b"PK\x03\x04 <script>", max_pixels=2000)

    assert (found.content_type, found.width, found.height) == (content_type, 40, 30)
    assert found.data == data
    with pytest.raises(MediaRefused, match="at most 1,000"):
        read(data, max_pixels=1000)
    for cut in (20, len(data) // 2):
        with pytest.raises(MediaRefused):
            read(data[:cut], max_pixels=2000)


def test_an_extended_webp_tells_its_size() -> None:
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (39).to_bytes(3, "little") + (29).to_bytes(3, "little")
    data = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
    assert (picture(data, max_pixels=2000).width, picture(data, max_pixels=2000).height) == (40, 30)
    with pytest.raises(MediaRefused):
        read(b"RIFF" + struct.pack("<I", 22) + b"WEBP" + b"ABCD" + bytes(14), max_pixels=2000)


@pytest.mark.parametrize(
    ("data", "kind", "content_type"),
    [
        (mp4(), "video", "video/mp4"),
        (b"\x1a\x45\xdf\xa3" + bytes(20), "video", "video/webm"),
        (mp4().replace(b"ftypisom", b"ftypM4A "), "music", "audio/mp4"),
        (flac(), "music", "audio/flac"),
        (wav(), "music", "audio/wav"),
        (b"OggS" + bytes(20), "music", "audio/ogg"),
        (b"ID3\x04" + bytes(20), "music", "audio/mpeg"),
        (b"\xff\xfb\x90\x00" + bytes(20), "music", "audio/mpeg"),
    ],
)
def test_films_and_sounds_are_known_and_are_no_pictures(data: bytes, kind: str, content_type: str) -> None:
    found = read(data, max_pixels=1)

    assert (found.kind, found.content_type) == (kind, content_type)
    with pytest.raises(MediaRefused, match="A picture is needed"):
        picture(data, max_pixels=1)


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.7", b"<svg/>", b"\xff\xd8\xff\x00", b"\xff\xd8\xff\xc4\x00\x04\x00\x00\x00", b"GIF89a"]
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(MediaRefused):
        read(data, max_pixels=10**6)


def test_previews_come_in_two_forms() -> None:
    plain, facts = preview(struct.pack(">II", 1, 1) + b"jpeg"), b'{"image_type": "image/png"}'
    assert plain is not None
    assert (plain.content_type, plain.data) == ("image/jpeg", b"jpeg")
    told = preview(struct.pack(">II", 4, len(facts)) + facts + png())
    assert told is not None
    assert (told.content_type, told.data) == ("image/png", png())
    for odd in (b"", struct.pack(">II", 3, 0), struct.pack(">II", 1, 9), struct.pack(">II", 4, 2) + b"[]", b"\0" * 8):
        assert preview(odd) is None
    assert preview(struct.pack(">II", 4, 3) + b"{x}") is None


def test_what_is_kept_comes_before_what_passes() -> None:
    kept, passing = (
        {"filename": name, "subfolder": "", "type": kind} for name, kind in (("a", "output"), ("b", "temp"))
    )
    both = {
        "outputs": {"1": {"images": [passing], "animated": [True]}, "2": {"gifs": [kept], "text": ["x"]}, "3": None}
    }
    assert outputs(both) == [OutputFile(filename="a", subfolder="", type="output")]
    assert [one.filename for one in outputs({"outputs": {"1": {"images": [passing]}}})] == ["b"]
    assert outputs({}) == []


def test_failures_say_what_they_can() -> None:
    silent = failure({"status": {"status_str": "error", "messages": []}})
    assert isinstance(silent, MediaError)
    assert "its log has it" in silent.message
    assert failure({"status": {"status_str": "success", "messages": [["execution_success", {}], "odd"]}}) is None
    assert broken({"node_type": "X", "node_id": "1"}).message == "X (node 1) failed: no reason given"
    assert "refuses the workflow: no prompt" in refused({"error": "no prompt", "node_errors": []}).message
    reasons = {"errors": [{"message": "Value not in list", "details": f"x{at}"} for at in range(5)], "class_type": "K"}
    many = refused({"error": {"message": "Bad"}, "node_errors": {"7": reasons}}).message
    assert many.endswith("K (node 7): Value not in list x2; and 2 more")
    assert "Node ID '#9'" in refused({"error": {"message": "Gone", "details": "Node ID '#9'"}}).message
