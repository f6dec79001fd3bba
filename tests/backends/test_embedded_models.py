"""The models that the embedded backend lists: real files in a folder, no llama.cpp."""

import os
import shutil
import struct
from pathlib import Path

import pytest

from portal.backends.embedded import Config, Embedded
from portal.errors import BackendUnavailable
from portal.testing.scripted_engine import ScriptedEngine

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"


def over(folder: Path, engine: ScriptedEngine | None = None) -> Embedded:
    return Embedded(Config(folder=folder), engine=engine or ScriptedEngine())


def gguf(*pairs: tuple[bytes, bytes]) -> bytes:
    content = b"".join(struct.pack("<Q", len(key)) + key + value for key, value in pairs)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + content


def string(text: bytes) -> bytes:
    return struct.pack("<IQ", 8, len(text)) + text


async def test_it_lists_the_models_of_the_folder(tmp_path: Path) -> None:
    backend = over(tmp_path)
    shutil.copy(TINY, tmp_path)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no model")
    shutil.copy(TINY, tmp_path / "big-00001-of-00002.gguf")
    shutil.copy(TINY, tmp_path / "big-00002-of-00002.gguf")
    big, info = await backend.models()
    assert (big.id, info.id) == ("big-00001-of-00002", TINY.stem)
    assert info.backend == "embedded"
    assert info.capabilities == {"chat", "completion", "tools"}
    assert (info.parameters, info.quantization, info.context_window) == (869_504, "Q8_0", 1024)
    assert (info.family, info.size, info.description) == ("llama", TINY.stat().st_size, "portal-tiny")
    assert info.loaded is False


async def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    backend, file = over(tmp_path), tmp_path / TINY.name
    file.write_bytes(TINY.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_templatX"))
    os.utime(file, ns=(0, 1))
    assert [info.capabilities for info in await backend.models()] == [{"completion"}]
    file.write_bytes(TINY.read_bytes().replace(b"<tools>", b"<toolz>").replace(b"tools", b"toolz"))
    os.utime(file, ns=(0, 2))
    assert [info.capabilities for info in await backend.models()] == [{"chat", "completion"}]
    file.unlink()
    assert await backend.models() == []


async def test_files_that_hold_no_language_model_are_left_out(tmp_path: Path) -> None:
    """A projector, and an embedding model: this engine answers chats."""
    (tmp_path / "clip.gguf").write_bytes(gguf((b"general.architecture", string(b"clip"))))
    pooling = (b"bert.pooling_type", struct.pack("<II", 4, 1))
    (tmp_path / "bert.gguf").write_bytes(gguf((b"general.architecture", string(b"bert")), pooling))
    (tmp_path / "words.gguf").write_bytes(gguf((b"general.architecture", string(b"words"))))
    backend = over(tmp_path)
    for _ in range(2):
        (info,) = await backend.models()
        assert (info.id, info.context_window, info.description) == ("words", 8192, None)


async def test_nothing_is_listed_while_the_engine_is_not_installed(tmp_path: Path) -> None:
    shutil.copy(TINY, tmp_path)
    engine = ScriptedEngine(installed=False)
    backend = over(tmp_path, engine)
    assert await backend.models() == []
    engine.installed = True
    assert [info.id for info in await backend.models()] == [TINY.stem]


async def test_folders_that_cannot_be_listed(tmp_path: Path) -> None:
    assert await over(tmp_path / "not made yet").models() == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        await over(tmp_path / "file").models()
