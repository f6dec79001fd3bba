"""Reading documents: small texts at once, everything else in a process of its own, within bounds."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import orjson

from portal.core.documents import Describer, Extracted
from portal.core.speech import Listening, Segment, Transcriber
from portal.core.subtitles import minute
from portal.errors import BadRequest, TooLarge
from portal.knowledge.extract_draft import LONGEST, Draft
from portal.knowledge.extract_kind import HEAD, PLAIN, kind_of
from portal.knowledge.extract_reading import Reading
from portal.knowledge.extract_text import read_plain
from portal.knowledge.extracting import unpacked

_QUICK = 512 * 1024
"""Bytes of a text that are read without a process; not of a mail, which may hold anything."""
_LARGEST = 512 * 2**20
_ANSWER = 6
"""Bytes of an answer for each character of text, at most: what it is written with, and what is said of its parts."""
_PARAGRAPH = 600
"""Characters of what is said, after which a paragraph ends."""
_PAUSE = 1.5
"""Seconds."""
_UNHEARD = "Nothing here can write down speech."
_KILLED = "Reading it took more time or memory than a file may: split it, or open it and save it again."


class Reader:
    """Reads files. `memory` is in bytes and `seconds` of one file, on the clock and of the processor alike."""

    def __init__(
        self,
        *,
        describer: Describer | None = None,
        transcriber: Transcriber | None = None,
        languages: str = "eng",
        largest: int = _LARGEST,
        longest: int = LONGEST,
        memory: int = 2 * 2**30,
        seconds: int = 600,
        at_once: int = 2,
    ) -> None:
        """`languages` of text in pictures, such as eng+deu; `longest` in characters; `at_once` processes."""
        self._describer = describer
        self._transcriber = transcriber
        self._languages = languages
        self._largest = largest
        self._longest = longest
        self._memory = memory
        self._seconds = seconds
        self._turns = asyncio.Semaphore(at_once)

    async def read(self, file: Path | bytes, name: str, content_type: str = "") -> Extracted:
        """What a file says; without text only if it is empty.

        Raises:
            BadRequest: it cannot be read, and the message says what to do; `code` is unsupported_file or invalid_file.
            TooLarge: it, or the text in it, is over the bounds.
            BackendError: the model that looks at pictures or listens to recordings failed; it may work later.
        """
        with _on_disk(file) as path:
            found = await self._read(path, name, content_type)
        if not found.text and found.warnings:
            raise BadRequest(found.warnings[0], code="invalid_file")
        return found

    async def draw(self, file: Path, page: int, dpi: int) -> bytes:
        """A PNG of a page of a PDF, counted from 1; nothing where none can be made within the bounds."""
        request = {"page": page, "dpi": dpi, "memory": self._memory, "seconds": self._seconds}
        async with self._turns:
            return await self._answer(file, orjson.dumps(request).decode())

    async def _read(self, path: Path, name: str, content_type: str) -> Extracted:
        size, head = await asyncio.to_thread(_begin, path)
        if size > self._largest:
            raise TooLarge(f"It is over {self._largest // 2**20} MB: split it into smaller files.", code="invalid_file")
        kind, mime = kind_of(head, name, content_type)
        if kind == "picture":
            return await self._picture(path, name, mime)
        if kind == "recording":
            return await self._recording(path)
        if kind in PLAIN and size <= _QUICK:
            reading = Reading(languages=self._languages, longest=self._longest)
            return await asyncio.to_thread(lambda: reading.read(path.read_bytes(), name, content_type))
        return await self._apart(path, name, content_type)

    async def _apart(self, path: Path, name: str, content_type: str) -> Extracted:
        request = {
            "name": name,
            "content_type": content_type,
            "languages": self._languages,
            "longest": self._longest,
            "memory": self._memory,
            "seconds": self._seconds,
        }
        async with self._turns:
            answer = await self._answer(path, orjson.dumps(request).decode())
        if not answer:
            raise BadRequest(_KILLED, code="invalid_file")
        return await asyncio.to_thread(unpacked, answer)

    async def _answer(self, path: Path, request: str) -> bytes:
        """Of a process that ends with this call, whatever happens; nothing if it broke a bound."""
        with path.open("rb") as file, tempfile.TemporaryDirectory() as folder:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-m", "portal.knowledge.extracting", request),
                stdin=file,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", "OMP_THREAD_LIMIT": "1", "HOME": folder, "TMPDIR": folder},
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._all_of(process.stdout)
            except TimeoutError:
                return b""
            finally:
                await _end(process)

    async def _all_of(self, stream: asyncio.StreamReader | None) -> bytes:
        parts, room = [], 2**20 + _ANSWER * self._longest
        while stream and room > 0 and (part := await stream.read(2**20)):
            parts.append(part)
            room -= len(part)
        return b"".join(parts) if room > 0 else b""

    async def _picture(self, path: Path, name: str, mime: str) -> Extracted:
        """What it shows, and the text in it; either is enough."""
        told = await self._describer.describe(path, mime) if self._describer else ""
        try:
            found = await self._apart(path, name, mime)
        except BadRequest as error:
            if not told:
                raise
            found = Extracted(text="", blocks=(), warnings=(error.message,))
        draft = Draft(self._longest)
        draft.text(told)
        read_plain(found.text, draft)
        for warning in found.warnings:
            draft.warn(warning)
        return draft.done()

    async def _recording(self, path: Path) -> Extracted:
        """What is said in it, as paragraphs that begin with their time, such as [12:05]."""
        why = self._transcriber.refusal() if self._transcriber else _UNHEARD
        if self._transcriber is None or why:
            raise BadRequest(f"This is a recording. {why}", code="unsupported_file")
        draft, paragraph = Draft(self._longest), list[Segment]()
        async with aclosing(self._transcriber.transcribe(path, Listening())) as hearing:
            async for heard in hearing:
                if heard.segment is None or not heard.segment.text.strip():
                    continue
                if paragraph and _is_whole(paragraph, heard.segment):
                    draft.text(_timed(paragraph))
                    paragraph.clear()
                paragraph.append(heard.segment)
        if paragraph:
            draft.text(_timed(paragraph))
        else:
            draft.warn("Nothing is said in this recording.")
        return draft.done()


def _is_whole(paragraph: Sequence[Segment], after: Segment) -> bool:
    """Whether the next segment begins another paragraph: after a pause, or where this one is long enough."""
    told = sum(len(one.text) for one in paragraph)
    return told >= _PARAGRAPH or (told >= _PARAGRAPH // 4 and after.start - paragraph[-1].end >= _PAUSE)


def _timed(paragraph: Sequence[Segment]) -> str:
    return f"[{minute(paragraph[0].start)}] {' '.join(one.text.strip() for one in paragraph)}"


@contextlib.contextmanager
def _on_disk(file: Path | bytes) -> Iterator[Path]:
    if isinstance(file, Path):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(file)
        yield path


def _begin(path: Path) -> tuple[int, bytes]:
    """Its size and its first bytes. Raises BadRequest."""
    try:
        if not path.is_file():
            raise BadRequest("There is no such file any more.", code="invalid_file")
        with path.open("rb") as file:
            return path.stat().st_size, file.read(HEAD)
    except OSError as error:
        raise BadRequest(f"The file cannot be opened: {error.strerror}.", code="invalid_file") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """With the programs that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
