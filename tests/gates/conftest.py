import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("src", "docs", "tests", "scripts", "bench", "requirements", ".ci", "README.md", "CHANGELOG.md", "NOTICE")
PLACES_OF_CODE = ("pyproject.toml", "launch.sh")
FOREIGN = {"node_modules", "__pycache__", "vendor", "openresponses", ".mypy_cache", "coverage", "package-lock.json"}
BINARY = {".bin", ".gguf", ".onnx", ".png", ".woff2"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def own_files(root: Path) -> Sequence[Path]:
    """Every text file of the project that the project itself wrote."""
    found = [one for place in (*PLACES, *PLACES_OF_CODE) for one in _files(root / place)]
    assert len(found) > 50
    return found


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = set(folders) - FOREIGN
        yield from (Path(folder, name) for name in names if name not in FOREIGN and Path(name).suffix not in BINARY)
