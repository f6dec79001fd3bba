"""Import and export by command, beside a running server."""

import json
import zipfile
from pathlib import Path

from tests.cli.conftest import Installation
from tests.exchange import samples


def test_an_export_of_chatgpt_as_zip_and_as_a_folder(shared: Installation, tmp_path: Path) -> None:
    packed = tmp_path / "chatgpt.zip"
    packed.write_bytes(samples.chatgpt())
    looked = shared.run("import", str(packed), "--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert "From chatgpt: chatgpt.zip" in looked.stdout
    assert "messages\t14 found\t12 to bring in\t2 left out" in looked.stdout
    assert "left out: 1 messages: it only says how long the model thought" in looked.stdout
    assert "conversations: Broken: it is no conversation of ChatGPT" in looked.stdout
    done = shared.run("import", str(packed))
    assert "messages\t14 found\t12 brought in\t2 left out" in done.stdout
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    again = shared.run("import", str(folder), "--from", "chatgpt")
    assert "messages\t14 found\t0 brought in\t12 here already\t2 left out" in again.stdout


def test_what_cannot_be_brought_in(shared: Installation, tmp_path: Path) -> None:
    wrong = tmp_path / "diary.txt"
    wrong.write_text("Dear diary", encoding="utf-8")
    done = shared.run("import", str(wrong))
    assert done.returncode == 1
    assert "no export that Portal knows" in done.stderr
    assert shared.run("import", str(tmp_path / "none")).returncode == 2


def test_everything_as_a_folder_and_as_a_zip(shared: Installation, tmp_path: Path) -> None:
    shared.run("memory", "add", "I live in Berlin")
    folder = tmp_path / "mine"
    done = shared.run("export", str(folder))
    assert done.returncode == 0, done.stderr
    told = json.loads((folder / "portal-export.json").read_text(encoding="utf-8"))
    assert told["object"] == "portal.export"
    assert "I live in Berlin" in (folder / "memories.jsonl").read_text(encoding="utf-8")
    packed = tmp_path / "mine.zip"
    assert shared.run("export", str(packed)).returncode == 0
    shared.run("memory", "add", "Write to ann@example.com")
    assert shared.run("export", str(tmp_path / "bare"), "--no-addresses").returncode == 0
    assert "Write to a..." in (tmp_path / "bare" / "memories.jsonl").read_text(encoding="utf-8")
    assert zipfile.ZipFile(packed).testzip() is None
    assert "exists already" in shared.run("export", str(folder)).stderr
    again = shared.run("import", str(packed))
    assert "From portal" in again.stdout
    assert "0 brought in" in again.stdout
    assert shared.run("import", str(folder)).returncode == 0
    assert not list(tmp_path.glob("*.unfinished"))
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert "cannot be written" in shared.run("export", str(blocked / "x.zip")).stderr
