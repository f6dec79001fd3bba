"""How long a backup takes beside a plain copy of the same bytes, and how long reading it back takes, which is apart.

python bench/backup.py --megabytes 1024
"""

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from portal.settings import Settings
from portal.storage.backups.making import Wanted, make_backup, verify_backup
from portal.storage.database import Statement
from portal.storage.open import open_storage
from portal.testing.records import OWNER

AIM = 1.5
CHUNK = 2**20
INSERT = "INSERT INTO file_chunks (file_id, number, owner, data) VALUES ('file_1', :number, :owner, :data)"
FILE = """
INSERT INTO files (id, owner, filename, purpose, size, sha256, content_type, created_at, ready, content_id)
VALUES ('file_1', :owner, 'large', 'user_data', 0, '', 'application/octet-stream', 1, 0, 'file_1')"""


async def fill(folder: Path, megabytes: int) -> None:
    """A database of about this size."""
    async with open_storage(Settings(data_dir=folder)) as storage:
        await storage.database.batch([Statement(FILE, {"owner": OWNER})])
        for number in range(megabytes):
            args = {"number": number, "owner": OWNER, "data": os.urandom(CHUNK)}
            await storage.database.batch([Statement(INSERT, args)])


def copied(source: Path, target: Path) -> None:
    """As `cp` does, and on the disk."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def timed(work: Callable[[], object], target: Path) -> tuple[float, float]:
    """Seconds, and those of a processor, of something that makes `target`, which is removed before."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    os.sync()
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; the system's temporary folder by default")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        work = Path(scratch)
        settings = Settings(data_dir=work / "data")
        asyncio.run(fill(settings.data_dir, chosen.megabytes))
        database, plain = settings.data_dir / "portal.db", work / "copy"
        kinds = {
            "folder": Wanted(target=work / "folder"),
            "one file": Wanted(target=work / "plain.portal-backup"),
            "sealed file": Wanted(target=work / "sealed.portal-backup", password="a password of some length"),
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ("plain copy", *kinds)}
        checks: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(chosen.rounds):
            took["plain copy"].append(timed(lambda: copied(database, plain), plain))
            for name, wanted in kinds.items():
                took[name].append(timed(lambda wanted=wanted: make_backup(settings, wanted), wanted.target))
                began = time.perf_counter()
                verify_backup(wanted.target, wanted.password, work / "check")
                checks[name].append(time.perf_counter() - began)
        base = min(took["plain copy"])[0]
        print(f"{database.stat().st_size / 2**20:,.0f} MB, best of {chosen.rounds}; aim {AIM} x a plain copy")
        for name, seconds in took.items():
            best, used = min(seconds)
            check = f", reading it back {min(checks[name]):6.2f} s" if name in checks else ""
            print(f"{name:12} {best:6.2f} s  {best / base:5.2f} x, processor {used:6.2f} s{check}")


if __name__ == "__main__":
    main()
