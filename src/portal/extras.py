"""The optional parts of an installation: what each gives, whether it is there, and the command that adds it."""

import importlib.metadata
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

NO_INSTALLER = "There is neither uv nor pip to install with; get uv from https://docs.astral.sh/uv/"


@dataclass(frozen=True, slots=True)
class Extra:
    """`gives` is for people; `module` is there once it is installed; `megabytes` it adds to the usual install."""

    gives: str
    module: str
    megabytes: int


EXTRAS = {
    "browser": Extra("a browser that models may drive; it needs Chromium or Chrome beside it", "playwright", 170),
    "data": Extra("tables and SQL over files, charts, algebra", "duckdb", 180),
    "documents": Extra(
        "making Word, PowerPoint, Excel and PDF files; reading old ones and scans; QR codes", "fpdf", 165
    ),
    "embedded": Extra("an engine that runs models inside Portal; compiled here, for some minutes", "llama_cpp", 60),
    "encryption": Extra("backups under a password", "cryptography", 16),
    "keyring": Extra("the sealing key in the keyring of the operating system", "keyring", 12),
    "knowledge": Extra("finding documents and memories by their meaning; usually there", "onnxruntime", 170),
    "mcp": Extra("tool servers that speak MCP", "mcp", 20),
    "media": Extra("pictures in other formats, thumbnails, masks; ComfyUI does the drawing", "PIL", 20),
    "people": Extra("signing in with passkeys and identity providers", "webauthn", 18),
    "postgres": Extra("PostgreSQL as Portal's database, and as one that models may read", "psycopg", 12),
    "s3": Extra("files in an S3-compatible store", "obstore", 15),
    "search": Extra("searching the web with DuckDuckGo, without a key", "ddgs", 27),
    "slack": Extra("Slack as a chat platform; usually there", "slack_bolt", 3),
    "speech": Extra("writing down what is said, inside Portal, with a model that you fetch", "faster_whisper", 260),
    "telegram": Extra("Telegram as a chat platform; usually there", "aiogram", 4),
}
"""Those of pyproject.toml, but for the one of the tests."""


def is_installed(extra: str) -> bool:
    """Whether it is here, without importing it."""
    return find_spec(EXTRAS[extra].module) is not None


def launcher() -> Path | None:
    """The `launch.sh` that made this environment; None where pip or something else did."""
    made = Path(sys.prefix, ".portal").is_dir()
    path = Path(sys.prefix).parent / "launch.sh"
    return path if made and path.is_file() else None


def add_command(extra: str) -> str:
    """What a person types to add it, from whatever folder."""
    return f"{shlex.quote(str(launcher() or 'portal'))} extra {extra}"


def requirements(extra: str, distribution: str = "portal") -> Sequence[str]:
    """The packages it consists of, as the installed package itself says."""
    needed = []
    for line in importlib.metadata.requires(distribution) or ():
        package, _, marker = line.partition(";")
        only, found = re.subn(rf"""(\s+and\s+)?\(?extra == ['"]{extra}['"]\)?""", "", marker)
        if found:
            needed.append(f"{package.strip()}; {only.strip()}" if only.strip() else package.strip())
    return needed


def installer(which: Callable[[str], str | None] = shutil.which) -> Sequence[str] | None:
    """The command that installs into this very environment: by uv, or by pip."""
    uv = which("uv")
    if uv is not None:
        return (uv, "pip", "install", "--python", sys.executable)
    if find_spec("pip") is not None:
        return (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    return None
