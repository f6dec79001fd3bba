"""The tool servers that Portal ships: a folder each, with a face (`server.py`) and a README."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
FACE, README = "server.py", "README.md"
_OWN = ("images", "knowledge", "memory", "music", "portal", "video")
"""What these do Portal has itself, for each of its people; as a server of its own it would act for the owner alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One of them, by what its README begins with."""

    name: str
    title: str
    about: str
    """What it does, in a sentence or two."""
    face: Path

    @property
    def startable(self) -> bool:
        """Whether Portal may start it as a tool server of its own."""
        return self.name not in _OWN


def place() -> Path:
    """Where they are: package data, or `mcp/` of the checkout that Portal runs from."""
    packaged = Path(str(files("portal") / "servers"))
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "mcp"


@cache
def shipped() -> Sequence[Shipped]:
    """All, by name."""
    faces = (path for path in sorted(place().glob(f"*/{FACE}")) if _NAME.fullmatch(path.parent.name))
    return [_read(path) for path in faces]


def find(name: str) -> Shipped | None:
    """The one of this name."""
    return next((one for one in shipped() if one.name == name), None)


def _read(face: Path) -> Shipped:
    """Its title is the heading of the README, what it does the first paragraph below."""
    title, _, rest = (face.parent / README).read_text(encoding="utf-8").partition("\n")
    about = " ".join(rest.strip().partition("\n\n")[0].split())
    return Shipped(name=face.parent.name, title=title.lstrip("# ").strip(), about=about, face=face)
