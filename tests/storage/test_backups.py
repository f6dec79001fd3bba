"""Backups hold everything, are consistent beside writers, and whatever is not as it was made is refused whole."""

import asyncio
import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import apsw
import orjson
import pytest

from portal.core.clock import micros
from portal.errors import BackupUnusable, NotInstalled, PortalError, StorageError, StorageFull
from portal.settings import Settings
from portal.storage.backups.containers import copied, is_sealed, read_head
from portal.storage.backups.making import Wanted, make_backup, verify_backup
from portal.storage.backups.restoring import finish, restore
from portal.storage.backups.sealing import PIECE
from portal.storage.backups.sqlite_frozen import frozen
from portal.storage.data_folder import lock_data_folder
from portal.storage.database import Statement
from portal.storage.open import open_storage
from portal.storage.sqlite import SqliteDatabase
from portal.testing.records import OWNER, conversation

FORMS = ("copy", "copy.portal-backup", "sealed.portal-backup")
INSERT = "INSERT INTO key_values VALUES (:name, :value)"


def password_of(form: str) -> str | None:
    return "correct horse" if form.startswith("sealed") else None


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A data folder with something of every kind in it."""
    folder = tmp_path / "data"
    made = Settings(data_dir=folder)
    async with open_storage(made) as storage:
        await storage.conversations.create(conversation(id="conv_kept"))
        big = Statement("INSERT INTO key_values VALUES ('big', :value)", {"value": "x" * (3 * PIECE)})
        await storage.database.batch([big])
    for name, text in {
        "portal.toml": "",
        "secrets.json": '{"server": "sk-1"}',
        "seal.key": "k",
        "skills/one/SKILL.md": "# One",
        "tools/mine.py": "def mine(): ...",
        "work/conv_kept/empty": "",
        "models/large.gguf": "weights",
        "portal.log": "line",
        "portal.db.schema-1": "old",
        "before-restore-20260101-000000/portal.db": "older",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tools/mine.py").chmod(0o700)
    (folder / "work/conv_kept/link").symlink_to("/etc/hostname")
    os.mkfifo(folder / "work/conv_kept/pipe")
    return made


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(settings: Settings, tmp_path: Path, form: str) -> Path:
    target = tmp_path / "kept" / form
    make_backup(settings, Wanted(target=target, password=password_of(form), secrets=bool(password_of(form))))
    return target


def tree(folder: Path) -> dict[str, int | str]:
    """Modes of files and where links lead, by path."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path)
        if path.is_symlink()
        else stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
    }


async def test_what_is_restored_is_what_was_there(settings: Settings, made: Path, form: str, tmp_path: Path) -> None:
    manifest = verify_backup(made, password_of(form), tmp_path / "scratch")
    target = tmp_path / "new" / "data"

    restored, aside = restore(made, target, password_of(form), force=False)

    assert restored == manifest
    assert aside is None
    assert list((tmp_path / "scratch").glob("*")) == []
    found = tree(target)
    assert {name: mode for name, mode in found.items() if isinstance(mode, int) and mode & 0o077} == {}
    assert found["tools/mine.py"] == 0o700
    assert found.pop("work/conv_kept/link") == "/etc/hostname"
    files = {"portal.db", "portal.lock", "portal.toml", "seal.key", "skills/one/SKILL.md"}
    files |= {"tools/mine.py", "work/conv_kept/empty"} | ({"secrets.json"} if password_of(form) else set())
    assert {name for name in found if (target / name).is_file()} == files
    async with open_storage(Settings(data_dir=target)) as storage:
        assert (await storage.conversations.get(OWNER, "conv_kept")).id == "conv_kept"


def test_a_plain_one_is_a_tar_and_the_head_needs_no_password(settings: Settings, tmp_path: Path) -> None:
    plain, sealed = tmp_path / "a.portal-backup", tmp_path / "b.portal-backup"
    make_backup(settings, Wanted(target=plain))
    make_backup(settings, Wanted(target=sealed, password="x"))
    with tarfile.open(plain) as tar:
        assert {"portal.db", "manifest.json"} <= set(tar.getnames())
    assert (is_sealed(plain), is_sealed(sealed)) == (False, True)
    assert read_head(plain).schema == read_head(sealed).schema
    assert b"conv_kept" in plain.read_bytes()
    assert b"conv_kept" not in sealed.read_bytes()


async def test_a_copy_beside_writers_is_of_one_moment(settings: Settings, tmp_path: Path) -> None:
    """Whoever writes goes on while the file is held; none of it is in the copy, and nothing is torn."""
    path = settings.data_dir / "portal.db"
    other = SqliteDatabase(path=path)
    await other.batch([Statement("PRAGMA wal_autocheckpoint = 4")])
    await other.batch([Statement(INSERT, {"name": "before", "value": "1"})])

    def copy_slowly(copy: Path) -> int:
        with frozen(path) as held, copy.open("wb") as file:
            loop.call_soon_threadsafe(begun.set)
            while piece := held.file.read(4096):
                file.write(piece)
            return held.rows["key_values"]

    loop, begun, copy = asyncio.get_running_loop(), asyncio.Event(), tmp_path / "copy.db"
    copying = loop.run_in_executor(None, copy_slowly, copy)
    await begun.wait()
    number = 0
    while not copying.done() or number < 50:
        number += 1
        await other.batch(
            [
                Statement("UPDATE key_values SET value = :v WHERE name = 'big'", {"v": str(number) * 5000}),
                Statement(INSERT, {"name": f"after-{number}", "value": "y" * 5000}),
            ]
        )
    counted = await copying
    await other.aclose()
    connection = apsw.Connection(str(copy))
    assert connection.pragma("integrity_check") == "ok"
    names = [name for (name,) in connection.execute("SELECT name FROM key_values")]
    connection.close()
    assert "before" in names
    assert [name for name in names if name.startswith("after")] == []
    assert len(names) == counted


def damaged(path: Path, change: Callable[[bytes], bytes]) -> Path:
    bad = path.with_name(f"bad-{path.name}")
    bad.write_bytes(change(path.read_bytes()))
    return bad


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("share", [0.0001, 0.3, 0.999])
def test_one_that_was_cut_short_is_refused(made: Path, form: str, tmp_path: Path, share: float) -> None:
    bad = damaged(made, lambda content: content[: int(len(content) * share) - 9000 * (share > 0.9)])
    with pytest.raises(BackupUnusable, match=r"cut short|not a backup"):
        restore(bad, tmp_path / "new", password_of(form), force=False)
    assert os.listdir(tmp_path / "new") == ["portal.lock"]


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("share", [0.002, 0.4, 0.8])
def test_one_that_was_changed_is_refused(made: Path, form: str, tmp_path: Path, share: float) -> None:
    def flip(content: bytes) -> bytes:
        at = int(len(content) * share)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    with pytest.raises(BackupUnusable):
        verify_backup(damaged(made, flip), password_of(form), tmp_path / "scratch")


def test_cut_at_the_border_of_a_piece_and_other_tricks(settings: Settings, tmp_path: Path) -> None:
    sealed = tmp_path / "s.portal-backup"
    make_backup(settings, Wanted(target=sealed, password="x"))
    content = sealed.read_bytes()
    begin = len(b"PORTAL-BACKUP-SEALED\n") + 4
    begin += int.from_bytes(content[begin - 4 : begin], "big")
    piece = PIECE + 16
    swapped = content[:begin] + content[begin + piece : begin + 2 * piece] + content[begin : begin + piece]
    other_head = content[:begin].replace(b'"schema":', b'"schema":0') + content[begin:]
    for name, bad, said in (
        ("cut", content[: begin + piece], "cut short"),
        ("swapped", swapped + content[begin + 2 * piece :], "changed or damaged"),
        ("head", other_head, "changed or damaged|cut short"),
        ("longer", content + b"x", "changed or damaged|cut short"),
        ("key", content.replace(b'"times":3', b'"times":9'), "password"),
        ("greedy", content.replace(b'"lanes":4', b'"lanes":0'), "impossible"),
        ("salt", content.replace(b'"salt":"', b'"salt":{'), "cannot be read"),
        ("nonce", content.replace(b'"nonce":"', b'"nonce":"z'), "changed or damaged|cut short"),
    ):
        path = tmp_path / f"{name}.portal-backup"
        path.write_bytes(bad)
        with pytest.raises(BackupUnusable, match=said):
            verify_backup(path, "x", tmp_path / "scratch")


def test_the_wrong_password_is_told_from_damage(settings: Settings, tmp_path: Path) -> None:
    sealed = tmp_path / "s.portal-backup"
    make_backup(settings, Wanted(target=sealed, password="right"))
    for password, said in (("wrong", "not the one"), (None, "under a password"), ("", "under a password")):
        with pytest.raises(BackupUnusable, match=said):
            restore(sealed, tmp_path / "new", password, force=False)


def rewritten(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "cut short"),
        (lambda folder: (folder / "seal.key").unlink(), "seal.key is missing"),
        (lambda folder: (folder / "seal.key").write_text("other"), "seal.key is not as it was"),
        (lambda folder: (folder / "more").write_text("x"), "more was put in"),
        (lambda folder: (folder / "more").symlink_to("/"), "links are not"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "list of what is in it"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "list of what is in it"),
        (lambda folder: (folder / "portal-backup.json").write_text("{}"), "not a backup"),
        (lambda folder: rewritten(folder, lambda manifest: manifest["rows"].update(users=7)), "other rows"),
        (lambda folder: (folder / "portal-backup.json").unlink(), "it has no portal-backup.json"),
    ],
)
def test_a_folder_that_was_changed_is_refused(
    settings: Settings, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    make_backup(settings, Wanted(target=tmp_path / "copy"))
    change(tmp_path / "copy")
    with pytest.raises(BackupUnusable, match=said):
        restore(tmp_path / "copy", tmp_path / "new", None, force=False)
    assert os.listdir(tmp_path / "new") == ["portal.lock"]


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "work/conv_kept/link/x"])
def test_a_backup_writes_nowhere_else(settings: Settings, tmp_path: Path, name: str) -> None:
    make_backup(settings, Wanted(target=tmp_path / "a.portal-backup"))
    with tarfile.open(tmp_path / "a.portal-backup") as good, tarfile.open(tmp_path / "b.portal-backup", "w") as bad:
        for member in sorted(good.getmembers(), key=lambda one: one.name == "manifest.json"):
            if member.name == "seal.key":
                bad.addfile(tarfile.TarInfo(name))
            bad.addfile(member, good.extractfile(member) if member.isfile() else None)
    with pytest.raises(BackupUnusable, match=r"leads elsewhere|put in|cannot be"):
        restore(tmp_path / "b.portal-backup", tmp_path / "new", None, force=False)
    assert not (tmp_path / "out").exists()


async def test_what_no_backup_has_is_not_put_in_place(settings: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    make_backup(settings, Wanted(target=copy))
    for name in ("models/other.gguf", "portal.db-wal", ".restoring/leaving", "backups/x"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("x")
        told = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
        rewritten(copy, lambda manifest, name=name, told=told: manifest["files"].update({name: told}))  # type: ignore

    restore(copy, settings.data_dir, None, force=True)

    assert os.listdir(settings.data_dir / "models") == ["large.gguf"]
    assert not {"portal.db-wal", ".restoring", "backups"} & set(os.listdir(settings.data_dir))
    async with open_storage(settings) as storage:
        assert await storage.conversations.get(OWNER, "conv_kept")


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.LNKTYPE])
def test_other_things_in_a_tar_are_refused(settings: Settings, tmp_path: Path, kind: bytes) -> None:
    make_backup(settings, Wanted(target=tmp_path / "a.portal-backup"))
    with tarfile.open(tmp_path / "a.portal-backup", "a") as tar:
        odd = tarfile.TarInfo("odd")
        odd.type, odd.linkname = kind, "portal.db"
        tar.addfile(odd)
    with pytest.raises(BackupUnusable):
        verify_backup(tmp_path / "a.portal-backup", None, tmp_path)


@pytest.mark.parametrize("fields", [{"format": 2}, {"schema": 999}])
def test_a_newer_one_is_refused_untouched(settings: Settings, tmp_path: Path, fields: dict[str, int]) -> None:
    make_backup(settings, Wanted(target=tmp_path / "copy"))
    head = orjson.loads((tmp_path / "copy/portal-backup.json").read_bytes()) | fields | {"portal": "9.1"}
    (tmp_path / "copy/portal-backup.json").write_bytes(orjson.dumps(head))
    with pytest.raises(BackupUnusable, match=r"Portal 9\.1, which is newer"):
        restore(tmp_path / "copy", tmp_path / "new", None, force=False)


def test_things_that_are_no_backup_are_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.portal-backup").write_text("words" * 1000)
    (tmp_path / "nothing.portal-backup").touch()
    (tmp_path / "tar.portal-backup").touch()
    with tarfile.open(tmp_path / "tar.portal-backup", "w") as tar:
        tar.add(tmp_path / "text.portal-backup", "a")
    for name in ("empty", "text.portal-backup", "nothing.portal-backup", "tar.portal-backup"):
        with pytest.raises(BackupUnusable, match="not a backup"):
            restore(tmp_path / name, tmp_path / "new", None, force=False)
    with pytest.raises(StorageError, match="There is no"):
        restore(tmp_path / "absent", tmp_path / "new", None, force=False)
    with pytest.raises(StorageError, match="is not a folder"):
        restore(tmp_path / "empty", tmp_path / "text.portal-backup", None, force=False)


async def test_what_is_there_is_put_aside_only_when_asked(settings: Settings, made: Path, form: str) -> None:
    with pytest.raises(StorageError, match="--force"):
        restore(made, settings.data_dir, password_of(form), force=False)
    async with open_storage(settings) as storage:
        await storage.database.batch([Statement(INSERT, {"name": "since", "value": "1"})])

    _, aside = restore(made, settings.data_dir, password_of(form), force=True)

    assert aside is not None
    assert (settings.data_dir / "models/large.gguf").exists()
    async with open_storage(settings) as storage:
        assert await storage.key_values.get("since") is None
    restore(aside, settings.data_dir, None, force=True)
    async with open_storage(settings) as storage:
        assert await storage.key_values.get("since") == 1


def test_no_restore_where_a_server_runs(settings: Settings, made: Path, form: str) -> None:
    with lock_data_folder(settings.data_dir, "Portal (process 1)"), pytest.raises(StorageError, match="in use by"):
        restore(made, settings.data_dir, password_of(form), force=True)


class _Killed(BaseException):
    """A process that ends at once."""


@pytest.fixture
def before(settings: Settings, tmp_path: Path) -> Path:
    make_backup(settings, Wanted(target=tmp_path / "copy"))
    (settings.data_dir / "mine").write_text("mine")
    return tmp_path / "copy"


@pytest.mark.parametrize("moves", range(22))
async def test_a_restore_killed_anywhere_leaves_one_or_the_other(
    settings: Settings, before: Path, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the n-th rename; then a server does not start, and whoever has the folder next sets it right."""
    real, done = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        if len(done) == moves:
            monkeypatch.setattr("portal.storage.backups.restoring.shutil.rmtree", killed)
            raise _Killed
        done.append(path)
        return real(path, target)

    def killed(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr(Path, "rename", rename)
    try:
        restore(before, settings.data_dir, None, force=True)
    except _Killed:
        monkeypatch.undo()
        with pytest.raises(StorageError, match="portal restore"):
            async with open_storage(settings):
                pass
    monkeypatch.undo()
    finish(settings.data_dir)
    mine = (settings.data_dir / "mine").exists()
    aside = [path for path in settings.data_dir.glob("before-restore-*") if path.name > "before-restore-2026010"]
    assert mine == (not any((path / "mine").exists() for path in aside))
    assert {"portal.db", "seal.key", "skills", "tools", "work"} <= set(os.listdir(settings.data_dir))
    async with open_storage(settings) as storage:
        assert (await storage.conversations.get(OWNER, "conv_kept")).id == "conv_kept"


def test_what_cannot_be_made_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no database"):
        make_backup(Settings(data_dir=tmp_path / "none"), Wanted(target=tmp_path / "x"))
    with pytest.raises(StorageError, match="exists already"):
        make_backup(settings, Wanted(target=settings.data_dir))
    with pytest.raises(PortalError, match="portal-backup"):
        make_backup(settings, Wanted(target=tmp_path / "x", password="p"))
    with pytest.raises(StorageError, match="could not be written"):
        make_backup(settings, Wanted(target=Path("/proc/x.portal-backup")))
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_target_within_a_file_is_no_failure_of_portal(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        make_backup(settings, Wanted(target=tmp_path / "file" / "a.portal-backup"))


def test_a_full_disk_leaves_nothing(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    make_backup(settings, Wanted(target=tmp_path / "a.portal-backup"))
    monkeypatch.setattr("portal.storage.backups.containers.os.fsync", full)
    with pytest.raises(StorageFull):
        restore(tmp_path / "a.portal-backup", tmp_path / "new", None, force=False)
    with pytest.raises(StorageError, match="No space left"):
        make_backup(settings, Wanted(target=tmp_path / "b.portal-backup"))
    assert os.listdir(tmp_path / "new") == ["portal.lock"]
    assert not list(tmp_path.glob("b.*"))


def test_without_the_library_a_password_names_the_extra(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(NotInstalled, match="extra encryption"):
        make_backup(settings, Wanted(target=tmp_path / "a.portal-backup", password="x"))
    assert not list(tmp_path.glob("a.*"))


def test_links_to_nothing_and_what_killed_checks_left_stop_nothing(settings: Settings, tmp_path: Path) -> None:
    (settings.data_dir / "work/conv_kept/gone").symlink_to("nowhere")
    shutil.rmtree(settings.data_dir / "tools")
    manifest = make_backup(settings, Wanted(target=tmp_path / "a.portal-backup"))
    assert manifest.links["work/conv_kept/gone"] == "nowhere"
    for name, age in (("backup-old.unfinished", 2 * 86_400), ("backup-new.unfinished", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (micros() / 1e6 - age, micros() / 1e6 - age))
    verify_backup(tmp_path / "a.portal-backup", None, tmp_path)
    assert [one.name for one in tmp_path.glob("backup-*")] == ["backup-new.unfinished"]


async def test_a_database_that_is_read_all_the_time_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings.data_dir / "portal.db"
    old = apsw.Connection(str(path))
    database = SqliteDatabase(path=path)
    old.execute("BEGIN")
    old.execute("SELECT * FROM users").fetchall()
    await database.batch([Statement(INSERT, {"name": "more", "value": "1"})])
    monkeypatch.setattr("portal.storage.backups.sqlite_frozen._PAUSE", 0)
    with pytest.raises(StorageError, match="quieter"), frozen(path):
        pass
    old.close()
    with frozen(path) as held:
        assert held.rows["key_values"] == 2
    await database.aclose()


def test_a_file_that_becomes_shorter_is_filled_up(caplog: pytest.LogCaptureFixture) -> None:
    """A tar has said its size before."""
    written = bytearray()
    entry = copied(BytesIO(b"abc"), 5, lambda piece: written.extend(piece) or len(piece))
    assert (bytes(written), entry.size) == (b"abc\0\0", 5)
    assert "shorter" in caplog.text
