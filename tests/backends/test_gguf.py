"""GGUF headers: the real one of the fixture, and damaged ones."""

import struct
from pathlib import Path

import pytest

from portal.backends.gguf import NotGguf, read_header

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf(*pairs: bytes, tensors: int = 0, version: int = 3, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs) + rest


def test_a_real_model() -> None:
    header = read_header(TINY)
    assert (header.name, header.architecture) == ("portal-tiny", "llama")
    assert (header.parameters, header.context_length, header.quantization) == (869_504, 1024, "Q8_0")
    assert header.template is not None
    assert "<tools>" in header.template
    assert header.metadata["llama.rope.freq_base"] == 10000.0


def test_values_of_every_kind(tmp_path: Path) -> None:
    numbers = [(0, "<B", 1), (1, "<b", -1), (2, "<H", 2), (3, "<h", -2), (4, "<I", 3), (5, "<i", -3), (6, "<f", 0.5)]
    numbers += [(7, "<?", True), (10, "<Q", 4), (11, "<q", -4), (12, "<d", 0.25)]
    pairs = [string(f"k{kind}".encode()) + struct.pack("<I", kind) + struct.pack(form, v) for kind, form, v in numbers]
    nested = struct.pack("<IIQ", 9, 9, 2) + (struct.pack("<IQ", 8, 1) + string(b"x")) * 2
    words = struct.pack("<IIQ", 9, 8, 2) + string(b"a") + string(b"b")
    pairs += [string(b"nested") + nested, string(b"words") + words]
    pairs.append(string(b"floats") + struct.pack("<IIQ", 9, 6, 3) + struct.pack("<fff", 1, 2, 3))
    tensor = string(b"t") + struct.pack("<IQQIQ", 2, 3, 4, 0, 0)
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(*pairs, tensors=1, rest=tensor))
    header = read_header(file)
    assert [header.metadata[f"k{kind}"] for kind, _, _ in numbers] == [value for _, _, value in numbers]
    assert header.parameters == 12
    assert header.quantization is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 zip",
        b"GGUF",
        gguf(version=1),
        gguf(tensors=2**60),
        gguf(string(b"k") + struct.pack("<I", 99)),
        gguf(struct.pack("<Q", 1000) + b"cut"),
        gguf(string(b"k") + struct.pack("<I", 4)),
        gguf(string(b"\xff\xfe") + struct.pack("<I", 4)),
        TINY.read_bytes()[:2000],
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(NotGguf):
        read_header(file)
