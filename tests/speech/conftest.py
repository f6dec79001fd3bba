"""Sounds to work with, made by espeak-ng and ffmpeg."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., Path]


@pytest.fixture
def spoken(tmp_path: Path) -> Make:
    """`spoken("text", "name.mp3", "-t", "3")`: a file in which espeak-ng says it, as ffmpeg makes it of that."""

    def make(text: str, name: str, *options: str) -> Path:
        said = subprocess.run(["espeak-ng", "--stdout", text], capture_output=True, check=True).stdout
        path = tmp_path / name
        command = ["ffmpeg", "-loglevel", "error", "-i", "pipe:0", *options, "-y", str(path)]
        subprocess.run(command, input=said, check=True)
        return path

    return make


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without ffmpeg: the only folder of programs, empty."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder
