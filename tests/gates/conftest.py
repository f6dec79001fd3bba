from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("src", "docs", "tests", "scripts", "bench", "requirements", ".ci", "README.md", "CHANGELOG.md", "NOTICE")
PLACES_OF_CODE = ("pyproject.toml", "launch.sh")
FOREIGN = {"node_modules", "__pycache__", "vendor", "openresponses", ".mypy_cache", "coverage", "package-lock.json"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def own_files(root: Path) -> Sequence[Path]:
    """Every text file of the project that the project itself wrote."""
    found = []
    for place in (*PLACES, *PLACES_OF_CODE):
        path = root / place
        candidates = path.rglob("*") if path.is_dir() else [path]
        found += [
            one
            for one in candidates
            if one.is_file() and one.suffix != ".bin" and not FOREIGN & set(one.relative_to(root).parts)
        ]
    assert len(found) > 50
    return found
