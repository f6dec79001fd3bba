"""Fetching model files: resumable, checked, and put in place only when whole.

    plan = plan_pull("owner/repo/model-q4_k_m.gguf", folder=folder, catalog="https://huggingface.co")
    path = await fetch(plan, on_progress=lambda done, total: ...)

What is fetched grows in `NAME.part`, beside `NAME.part.json` which says what it is the beginning of; both stay when
it is interrupted or cancelled, and the next fetch of the same source goes on from there.
"""

import asyncio
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit

import orjson

from portal.backends.http import Deadlines, HttpClient, Reply
from portal.backends.wire import mapping, text
from portal.errors import BackendError, BackendProtocolError, BadRequest, Conflict, NotFound, PortalError, StorageFull

_IN_CATALOG = re.compile(r"^[\w.-]+/[\w.-]+(/[\w.-]+)*/[\w.-]+\.gguf$", re.IGNORECASE)
_NAME = re.compile(r"^[\w][\w.+ -]*\.gguf$", re.IGNORECASE)
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_LONGEST_NAME = 200
"""In bytes: file systems end at 255, and `.part.json` is added."""
_REDIRECTS = 5
_BLOCK = 2**20
_SPARE = 64 * 2**20
"""Bytes of the disk that a pull leaves free."""
_DEADLINES = Deadlines(connect=15, first_byte=60, idle=60)

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes there and the bytes in all, where known; about once a megabyte."""


class ChecksumWrong(PortalError):
    """What was fetched is not the file it should be; it was thrown away, and nothing else was touched."""

    status = 502
    code = "checksum_wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One pull: from `url` or, for a file of this machine, from `path`."""

    source: str
    target: Path
    url: str = ""
    path: Path | None = None
    sha256: str | None = None

    @property
    def part(self) -> Path:
        """Where it grows."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """What it is the beginning of."""
        return self.target.with_name(f"{self.target.name}.part.json")


def plan_pull(source: str, *, folder: Path, catalog: str, sha256: str | None = None) -> Plan:
    """Understand `owner/repo/file.gguf`, a URL, or a path of this machine.

    Raises:
        BadRequest: it is none of these.
        NotFound: there is no such file on this machine.
        Conflict: a model of that name is there already.
    """
    source = source.strip()
    url, path = "", None
    if "://" in source:
        url, name = source, _name_in(source)
    elif source.startswith(("/", "~", ".")) or (len(source) > 1 and source[1] == ":"):
        path = _local(source)
        name = path.name
    elif _IN_CATALOG.match(source) and ".." not in source.split("/"):
        owner, repository, file = source.split("/", 2)
        url = f"{catalog.rstrip('/')}/{owner}/{repository}/resolve/main/{file}"
        name = file.rpartition("/")[2]
    else:
        raise BadRequest(
            "This is no model file: give owner/repo/file.gguf, the address of a .gguf file, or its path.",
            param="source",
        )
    if not _NAME.match(name) or len(name.encode()) > _LONGEST_NAME:
        raise BadRequest(
            f"The name of a model file is short and ends in .gguf; {name[:80]!r} is no such name.", param="source"
        )
    target = folder / name
    if target.exists():
        raise Conflict(f"There is a model file {name} already.", param="source")
    return Plan(source=source, target=target, url=url, path=path, sha256=sha256.lower() if sha256 else None)


def _name_in(url: str) -> str:
    """The last part of an address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadRequest("Only http and https addresses can be fetched; this is none.", param="source")
    return unquote(parts.path.rpartition("/")[2])


def _local(source: str) -> Path:
    """A file that is there."""
    try:
        path = Path(source).expanduser()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # a path or a home that cannot be
        raise BadRequest(f"This is no path of this machine: {error}", param="source") from error
    if not there:
        raise NotFound(f"There is no file {path} on this machine.", param="source")
    return path


async def fetch(plan: Plan, *, on_progress: OnProgress) -> Path:
    """Fetch and put in place; cancelling keeps what is there for the next time.

    Raises:
        BackendError: the server cannot be reached, refuses, or breaks off.
        ChecksumWrong: it is not the file it should be.
        StorageFull: the disk has no room.
        BadRequest: it is no GGUF file.
    """
    try:
        plan.target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if plan.path is not None:
            return await _link(plan, plan.path, on_progress)
        return await _download(plan, on_progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"The disk is full; {plan.target.name} can go on once there is room.") from error
        raise BadRequest(f"{plan.target.name} cannot be stored: {error}", param="source") from error


async def _link(plan: Plan, path: Path, on_progress: OnProgress) -> Path:
    """A file of this machine: a second name for it where the file system can, else a copy."""
    size = await asyncio.to_thread(_take_in, plan, path)
    on_progress(size, size)
    return plan.target


def _take_in(plan: Plan, path: Path) -> int:
    if plan.sha256:
        _check(plan, _hash_of(path).hexdigest(), plan.sha256)
    _check_magic(plan, path)
    size = path.stat().st_size
    plan.part.unlink(missing_ok=True)
    try:
        os.link(path, plan.part)
    except OSError:
        _check_room(plan, size)
        shutil.copyfile(path, plan.part)
    plan.part.replace(plan.target)
    return size


async def _download(plan: Plan, on_progress: OnProgress) -> Path:
    client = HttpClient(server=urlsplit(plan.url).hostname or plan.url, url=plan.url, deadlines=_DEADLINES)
    try:
        begun = _begun(plan)
        reply, linked = await _open(client, plan.url, _resume_headers(begun))
        try:
            if reply.status == 416 and begun:
                reply.close()
                plan.part.unlink()
                reply, linked = await _open(client, plan.url, {})
            if reply.status >= 300:
                raise await reply.failure()
            start = _start(reply, begun)
            digest = await _receive(plan, reply, start, on_progress, linked)
        finally:
            reply.close()
    finally:
        await client.aclose()
    _check(plan, digest, plan.sha256 or linked)
    _check_magic(plan, plan.part)
    plan.part.replace(plan.target)
    plan.note.unlink(missing_ok=True)
    return plan.target


def _begun(plan: Plan) -> "_Begun | None":
    """What an earlier fetch of the same source left."""
    try:
        note = mapping(orjson.loads(plan.note.read_bytes()))
        size = plan.part.stat().st_size
    except (OSError, orjson.JSONDecodeError):
        return None
    if size == 0 or note.get("url") != plan.url:
        return None
    return _Begun(size, text(note.get("etag")))


@dataclass(frozen=True, slots=True)
class _Begun:
    size: int
    etag: str | None


def _resume_headers(begun: _Begun | None) -> Mapping[str, str]:
    """Ask for the rest, but only of the same file: a weak or missing tag cannot say so."""
    if begun is None or not begun.etag or begun.etag.startswith("W/"):
        return {}
    return {"Range": f"bytes={begun.size}-", "If-Range": begun.etag}


async def _open(client: HttpClient, url: str, headers: Mapping[str, str]) -> tuple[Reply, str | None]:
    """Follow redirects by hand: a catalog names the file's SHA-256 in the first answer only."""
    linked: str | None = None
    for _ in range(_REDIRECTS):
        reply = await client.open("GET", url, headers=headers)
        linked = linked or _sha256_in(reply.headers)
        if reply.status not in (301, 302, 303, 307, 308):
            return reply, linked
        reply.close()
        url = _following(url, reply.headers.get("Location", ""))
    raise BackendProtocolError(f"{url} leads on and on.")


def _following(url: str, location: str) -> str:
    """Where a redirect leads. Raises BackendProtocolError for no address, and for one that gives up encryption."""
    try:
        following = urljoin(url, location)
        parts = urlsplit(following)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BackendProtocolError(f"{url} leads to {location[:200]!r}, which is no address.")
    if urlsplit(url).scheme == "https" and parts.scheme != "https":
        raise BackendProtocolError(f"{url} leads to an address that is not encrypted.")
    return following


def _sha256_in(headers: Mapping[str, str]) -> str | None:
    """Catalogs give a file's SHA-256 as its entity tag."""
    for name in ("X-Linked-ETag", "ETag"):
        tag = headers.get(name, "").removeprefix("W/").strip('"').lower()
        if _SHA256.match(tag):
            return tag
    return None


def _start(reply: Reply, begun: _Begun | None) -> int:
    """Where in the file this answer begins."""
    if reply.status != 206 or begun is None:
        return 0
    if not reply.headers.get("Content-Range", "").startswith(f"bytes {begun.size}-"):
        raise BackendProtocolError("The server sent another part of the file than it was asked for.")
    return begun.size


async def _receive(plan: Plan, reply: Reply, start: int, on_progress: OnProgress, linked: str | None) -> str:
    """Append to the part; the SHA-256 of all of it."""
    length = reply.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    _check_room(plan, (total or 0) - start)
    note: dict[str, Any] = {"url": plan.url, "source": plan.source, "etag": reply.headers.get("ETag"), "total": total}
    plan.note.write_bytes(orjson.dumps({**note, "sha256": plan.sha256 or linked}))
    hasher = await asyncio.to_thread(_hash_of, plan.part) if start else hashlib.sha256()
    done = start
    with plan.part.open("ab" if start else "wb") as file:
        on_progress(done, total)
        while block := await _block(reply):
            await asyncio.to_thread(_write, file, block, hasher)
            done += len(block)
            on_progress(done, total)
        await asyncio.to_thread(_sync, file)
    return hasher.hexdigest()


async def _block(reply: Reply) -> bytes:
    """About a megabyte, so that the disk is not asked for every packet. What came before a cut is given first."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size < _BLOCK and (piece := await reply.chunk()):
            pieces.append(piece)
            size += len(piece)
    except BackendError:
        if not pieces:  # else the next call raises it again
            raise
    return b"".join(pieces)


def _write(file: IO[bytes], block: bytes, hasher: Any) -> None:
    file.write(block)
    hasher.update(block)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _hash_of(path: Path) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")


def _check(plan: Plan, digest: str, wanted: str | None) -> None:
    if wanted is None or digest == wanted:
        return
    if plan.path is None:
        plan.part.unlink(missing_ok=True)
        plan.note.unlink(missing_ok=True)
    raise ChecksumWrong(
        f"{plan.target.name} is not the file it should be: its SHA-256 is {digest}, not {wanted}. "
        "It was thrown away; nothing else was touched."
        if plan.path is None
        else f"{plan.path} is not the file it should be: its SHA-256 is {digest}, not {wanted}."
    )


def _check_magic(plan: Plan, path: Path) -> None:
    with path.open("rb") as file:
        if file.read(4) == b"GGUF":
            return
    if plan.path is None:
        plan.part.unlink(missing_ok=True)
        plan.note.unlink(missing_ok=True)
    raise BadRequest(f"What {plan.source} gave is no GGUF model file.", param="source")


def _check_room(plan: Plan, needed: int) -> None:
    free = shutil.disk_usage(plan.target.parent).free
    if needed + _SPARE > free:
        raise StorageFull(f"{plan.target.name} needs {needed // 2**20} MB more, the disk has {free // 2**20} MB left.")
