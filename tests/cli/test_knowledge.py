"""Knowledge from the terminal, against a real server."""

import zipfile
from pathlib import Path

import pytest
from tests.cli.conftest import Installation

from portal.cli.counted import counted


@pytest.fixture
def papers(shared: Installation, tmp_path: Path) -> Path:
    """A folder with two documents; collections of other tests are gone."""
    for one in shared.server_file().client().get("/portal/v1/knowledge")["collections"]:
        shared.run("knowledge", "remove", "-c", one["id"], "--all", "--yes")
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "doors.md").write_text("# Doors\n\nThe door code is 4821.")
    (folder / "bread.txt").write_text("Bread is baked in the morning.")
    return folder


def test_files_are_added_found_shown_and_removed(shared: Installation, papers: Path) -> None:
    added = shared.run("knowledge", "add", str(papers / "doors.md"), str(papers / "bread.txt"))
    assert added.returncode == 0, added.stderr
    assert "2 of 2 documents" in added.stderr
    listed = shared.run("knowledge", "list").stdout.split("\t")
    assert listed[:2] == ["Documents", "2 documents"]
    found = shared.run("knowledge", "search", "door code", "-n", "1").stdout
    assert "doors.md" in found
    assert "The door code is 4821." in found
    assert "doors.md" in shared.run("knowledge", "search", "door code", "-c", "Documents").stdout
    shown = shared.run("knowledge", "show").stdout
    assert "completed\tdoors.md" in shown
    status = shared.run("knowledge", "status").stdout
    assert "Documents: 2 documents" in status
    assert status.startswith("embedder: ")
    gone = shared.run("knowledge", "remove", "doors.md")
    assert (gone.returncode, gone.stderr) == (0, "Forgot doors.md.\n")
    assert "doors.md" not in shared.run("knowledge", "show").stdout
    nothing = shared.run("knowledge", "remove", "doors.md")
    assert (nothing.returncode, "no such document" in nothing.stderr) == (1, True)


def test_the_same_file_is_kept_once(shared: Installation, papers: Path) -> None:
    (papers / "copy.md").write_bytes((papers / "doors.md").read_bytes())
    added = shared.run("knowledge", "add", *(str(papers / name) for name in ("doors.md", "copy.md", "bread.txt")))
    assert (added.returncode, "copy.md is in Documents already" in added.stderr) == (0, True), added.stderr
    again = shared.run("knowledge", "add", str(papers / "doors.md"))
    assert (again.returncode, "doors.md is in Documents already" in again.stderr) == (0, True), again.stderr
    assert "Documents\t2 documents" in shared.run("knowledge", "list").stdout
    assert shared.run("knowledge", "add", str(papers / "doors.md"), "-c", "Others").returncode == 0


def test_a_folder_is_followed(shared: Installation, papers: Path) -> None:
    added = shared.run("knowledge", "add", str(papers), "-c", "Work")
    assert added.returncode == 0, added.stderr
    shown = shared.run("knowledge", "show").stdout
    assert f"completed\tbread.txt\t{papers}/bread.txt\t1 passage" in shown
    assert f"watched\t{papers}" in shown
    (papers / "jam.txt").write_text("Jam is made of damsons.")
    again = shared.run("knowledge", "add", str(papers), "-c", "Work")
    assert again.returncode == 0, again.stderr
    assert "1 of 1 documents" in again.stderr
    assert f"watched: {papers}" in shared.run("knowledge", "status").stdout
    left = shared.run("knowledge", "unwatch", str(papers), "--forget")
    assert left.returncode == 0, left.stderr
    assert "0 documents" in shared.run("knowledge", "list").stdout
    assert shared.run("knowledge", "unwatch", str(papers)).returncode == 1
    assert shared.run("knowledge", "watch", str(papers)).returncode == 0
    assert shared.run("knowledge", "unwatch", str(papers)).returncode == 0


def test_what_cannot_be_read_says_why(shared: Installation, papers: Path) -> None:
    (papers / "odd.bin").write_bytes(bytes(range(256)))
    added = shared.run("knowledge", "add", str(papers / "odd.bin"))
    assert added.returncode == 1
    assert "odd.bin: Files such as 'odd.bin'" in added.stderr
    assert "1 could not be read" in added.stderr
    assert "1 failed" in shared.run("knowledge", "list").stdout
    assert "odd.bin" in shared.run("knowledge", "status").stderr
    again = shared.run("knowledge", "retry")
    assert (again.returncode, "could not be read" in again.stderr) == (1, True)
    good = shared.run("knowledge", "add", str(papers / "doors.md"))
    assert (good.returncode, "1 of 1 documents" in good.stderr, "odd.bin" in good.stderr) == (0, True, False)
    folder = shared.run("knowledge", "add", str(papers))
    assert folder.returncode == 0, "files of no format that it reads are left out of a folder"


def test_an_address_that_is_not_public_is_not_fetched(shared: Installation, papers: Path) -> None:
    added = shared.run("knowledge", "add", "http://127.0.0.1:1/page")
    assert added.returncode == 1
    assert "http://127.0.0.1:1/page:" in added.stderr


def test_which_collection_is_meant(shared: Installation, papers: Path) -> None:
    empty = shared.run("knowledge", "list")
    assert "There are no collections" in empty.stderr
    assert shared.run("knowledge", "create", "Papers", "--description", "on paper").stdout.startswith("vs_")
    assert shared.run("knowledge", "create", "Books").returncode == 0
    unclear = shared.run("knowledge", "show")
    assert (unclear.returncode, "Say which one: -c with one of Books, Papers" in unclear.stderr) == (1, True)
    wrong = shared.run("knowledge", "show", "-c", "Pears")
    assert "'Pears' is no collection" in wrong.stderr
    again = shared.run("knowledge", "create", "Books")
    assert (again.returncode, "There is a collection 'Books' already: vs_" in again.stderr) == (1, True)
    assert shared.run("knowledge", "create", " ").returncode == 1
    other = shared.server_file().client().send("POST", "/v1/vector_stores", {"name": "Books"})["id"]
    twice = shared.run("knowledge", "show", "-c", "Books").stderr
    assert "'Books' is more than one collection: -c with one of vs_" in twice
    assert other in twice
    added = shared.run("knowledge", "add", str(papers / "bread.txt"), "-c", "Papers", "--detach")
    assert (added.returncode, "in the background" in added.stderr) == (0, True)
    kept = shared.run("knowledge", "remove", "-c", "Papers", "--all", stdin="n\n")
    assert kept.returncode == 1
    assert "Papers" in shared.run("knowledge", "list").stdout


def test_what_embeds_is_shown_and_chosen(shared: Installation, papers: Path) -> None:
    shown = shared.run("knowledge", "embedder")
    assert shown.stdout.startswith("embedder: portal/all-minilm-l6-v2")
    assert "portal/all-minilm-l6-v2" in shown.stdout.splitlines()
    assert shared.run("knowledge", "embedder", "packaged").returncode == 0
    assert shared.run("knowledge", "embedder", "none").returncode == 1


def test_what_is_not_there(shared: Installation, papers: Path) -> None:
    missing = shared.run("knowledge", "add", str(papers / "none.txt"))
    assert "There is no file or folder" in missing.stderr
    nothing = shared.run("knowledge", "search", "anything")
    assert (nothing.returncode, "Nothing was found" in nothing.stderr) == (1, True)


def test_a_file_with_an_odd_name(shared: Installation, papers: Path) -> None:
    odd = papers / 'Grüße "an" alle.txt'
    odd.write_text("Grüße.")
    assert shared.run("knowledge", "add", str(odd)).returncode == 0
    assert "completed\tGrüße " in shared.run("knowledge", "show").stdout


def test_what_was_left_out_of_a_document_is_told(shared: Installation, papers: Path) -> None:
    with zipfile.ZipFile(papers / "bag.zip", "w") as bag:
        bag.writestr("doors.md", "The door code is 4821.")
        bag.writestr("odd.bin", bytes(range(256)))
    assert shared.run("knowledge", "add", str(papers / "bag.zip")).returncode == 0
    lines = shared.run("knowledge", "show").stdout.splitlines()
    assert "\t1 passage\t" in lines[0]
    assert lines[1].startswith("\t")
    assert "odd.bin" in lines[1]
    weak = shared.run("knowledge", "search", "zebra crossings in Lisbon").stdout
    assert weak == "" or "(weak match)" in weak


@pytest.mark.parametrize(
    ("number", "thing", "words"),
    [(0, "model", "0 models"), (1, "model", "1 model"), (1200, "model", "1,200 models"), (2, "memory", "2 memories")],
)
def test_things_are_counted_in_words(number: int, thing: str, words: str) -> None:
    assert counted(number, thing) == words
