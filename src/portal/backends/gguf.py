"""The header of a GGUF file: what a model is, read without loading it."""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_MAGIC = b"GGUF"
_MOST = 10_000_000
"""More keys, tensors or list entries than any model has: the file is damaged."""
_SCALARS: Final[Mapping[int, str]] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_FILE_TYPES: Final[Mapping[int, str]] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
}


class NotGguf(Exception):
    """The file is no GGUF, of a version this reader does not know, or damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """`parameters` counts the weights; `metadata` has the header's values, long lists left out."""

    name: str | None
    architecture: str
    context_length: int | None
    parameters: int
    quantization: str | None
    template: str | None
    metadata: Mapping[str, Any]


def read_header(path: Path) -> GgufHeader:
    """Raises NotGguf, and OSError for a file that cannot be read."""
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise NotGguf(f"{path.name} is not a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _Reader(content).header()
            except (struct.error, UnicodeDecodeError, IndexError, OverflowError) as error:
                raise NotGguf(f"{path.name} is damaged: {error}") from error


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = len(_MAGIC)

    def header(self) -> GgufHeader:
        version = self._number("<I")
        if version not in (2, 3):
            raise NotGguf(f"GGUF version {version} is not known")
        tensors, keys = self._count(), self._count()
        metadata = dict(self._pair() for _ in range(keys))
        parameters = sum(self._tensor() for _ in range(tensors))
        architecture = str(metadata.get("general.architecture", ""))
        return GgufHeader(
            name=metadata.get("general.name"),
            architecture=architecture,
            context_length=metadata.get(f"{architecture}.context_length"),
            parameters=parameters,
            quantization=_FILE_TYPES.get(metadata.get("general.file_type", -1)),
            template=metadata.get("tokenizer.chat_template"),
            metadata=metadata,
        )

    def _number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return value

    def _count(self) -> int:
        count: int = self._number("<Q")
        if count > _MOST:
            raise NotGguf(f"it is damaged: a count of {count}")
        return count

    def _bytes(self) -> bytes:
        size = self._count()
        start, self._at = self._at, self._at + size
        if self._at > len(self._content):
            raise NotGguf("it is cut off")
        return self._content[start : self._at]

    def _pair(self) -> tuple[str, Any]:
        key = self._bytes().decode()
        return key, self._value(self._number("<I"))

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._bytes().decode(errors="replace")
        if kind == _ARRAY:
            return self._skip_array()
        if kind not in _SCALARS:
            raise NotGguf(f"it is damaged: a value of kind {kind}")
        return self._number(_SCALARS[kind])

    def _skip_array(self) -> None:
        """Vocabularies and the like: not needed, and long."""
        kind, count = self._number("<I"), self._count()
        if kind in _SCALARS:
            self._at += count * struct.calcsize(_SCALARS[kind])
            return
        for _ in range(count):
            self._value(kind)

    def _tensor(self) -> int:
        """The number of weights of one tensor."""
        self._bytes()
        shape = [self._number("<Q") for _ in range(self._number("<I"))]
        self._at += struct.calcsize("<IQ")
        return math.prod(shape)
