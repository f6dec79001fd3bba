"""What `portal doctor` says of the machine: what models run on, and which suit its memory."""

import json
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Installation

from portal.cli.hardware import Machine, hardware_findings, this_machine


def told(installation: Installation, **env: str) -> dict[str, str]:
    done = installation.run("doctor", "--json", **env)
    return {one["check"]: one["text"] for one in json.loads(done.stdout) if one["check"]}


def program(folder: Path, name: str, *lines: str, code: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(["#!/bin/sh", *(f"echo '{line}'" for line in lines), f"exit {code}"]), encoding="utf-8")
    path.chmod(0o755)
    return path


def path_with(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251


def test_a_graphics_card_and_what_suits_it(installation: Installation, tmp_path: Path) -> None:
    cards = tmp_path / "bin"
    program(cards, "nvidia-smi", "NVIDIA T400, 2048", "NVIDIA GeForce RTX 3060, 12288")
    found = told(installation, PATH=path_with(cards))

    assert found["hardware"] == "Models on this machine run on NVIDIA GeForce RTX 3060 with 12 GB"
    wanted = ("qwen3:14b for chats", "Whisper's large-v3", "SDXL for pictures", "Wan 2.2 text to video", "ACE-Step")
    assert all(one in found["suiting_models"] for one in wanted), found["suiting_models"]


def test_without_one_the_processor_and_a_picture_model_that_it_can_bear(
    installation: Installation, tmp_path: Path, free_port: int
) -> None:
    """Also where the card's program is there and finds no card."""
    none = tmp_path / "bin"
    program(none, "nvidia-smi", "NVIDIA-SMI has failed", code=9)
    installation.data_dir.mkdir(parents=True)
    away = f'[[media.engines]]\nkind = "comfyui"\nurl = "http://127.0.0.1:{free_port}"\n'
    (installation.data_dir / "portal.toml").write_text(away, encoding="utf-8")
    said = installation.run("doctor", PATH=path_with(none)).stdout

    assert "ok   Models on this machine run on its processor: there is no graphics card" in said
    assert "without a graphics card pictures take minutes" in said
    assert "A picture model for this machine: v1-5-pruned-emaonly-fp16.safetensors (2.1 GB, https://" in said


def test_what_can_be_done_with_documents(installation: Installation, tmp_path: Path) -> None:
    """`portal` itself needs nothing of the path."""
    tools = tmp_path / "bin"
    program(tools, "pandoc")
    said = json.loads(installation.run("doctor", "--json", PATH=str(tools)).stdout)
    mends = {one["check"]: one["mend"] for one in said if one["state"] == "note"}

    assert "Making Word, PowerPoint, Excel and PDF files: ready" in [one["text"] for one in said]
    assert "Documents into other formats: ready (pandoc)" in [one["text"] for one in said]
    assert mends["tesseract"] == "apt install tesseract-ocr, or brew install tesseract"
    assert mends["soffice"] == "Install LibreOffice"


@pytest.mark.parametrize(
    ("machine", "chat", "recordings", "pictures"),
    [
        (Machine("nvidia", "RTX 4090", 24), "qwen3:32b", "large-v3", "FLUX.1 schnell"),
        (Machine("nvidia", "GTX 1050", 4), "qwen3:4b", "medium", "Stable Diffusion 1.5"),
        (Machine("nvidia", "GT 710", 2), "qwen3:0.6b", "small", ""),
        (Machine("apple", "Apple M2", 16), "qwen3:14b", "large-v3", "SDXL"),
        (Machine("cpu", "its processor", 64), "qwen3:8b", "small", "Stable Diffusion 1.5"),
        (Machine("cpu", "its processor", 1), "qwen3:0.6b", "base", "Stable Diffusion 1.5"),
    ],
)
def test_what_suits_a_memory(machine: Machine, chat: str, recordings: str, pictures: str) -> None:
    _, suiting = hardware_findings(machine)

    assert f"{chat} for chats" in suiting.text
    assert f"Whisper's {recordings} for recordings" in suiting.text
    assert (f"{pictures} for pictures" in suiting.text) if pictures else ("for pictures" not in suiting.text)


def test_a_chip_of_apples(tmp_path: Path) -> None:
    teller = program(tmp_path / "bin", "sysctl", "Apple M2 Pro")
    found = this_machine({"sysctl": str(teller)}.get, system="darwin", chip="arm64")

    assert (found.kind, found.name) == ("apple", "Apple M2 Pro (MPS and MLX)")
    assert found.memory > 0
    assert this_machine({}.get, system="darwin", chip="x86_64").kind == "cpu"
