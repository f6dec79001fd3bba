"""Recordings and films as bare samples, 16 bits, one channel, 16 kHz: by ffmpeg, or by PyAV where that is there."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from portal.errors import BadRequest, NoModel, TooLarge
from portal.extras import add_command
from portal.speech import ffmpeg
from portal.speech.programs import Flow, ProgramError
from portal.speech.threads import in_thread

RATE = 16_000
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,"
    "tta,voc,w64,wav,wv"
)
"""What is opened: files that hold sound or film themselves, none that name others."""
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.?\d*)")
_NO_SOUND = "This file has no sound: a film without a sound track, or a picture."
_DAMAGED = "This is no recording or film that can be read, or it is damaged: play it, and save it again."
_EMPTY = "The file is empty."


@dataclass(slots=True)
class Decoded:
    """A recording under way. `duration` is in seconds, as the file says; 0 where it does not, or nothing came yet."""

    duration: float = 0.0


def refusal() -> str:
    """Why nothing can be decoded here, and the step that changes it; empty where it can."""
    if ffmpeg.program() or find_spec("av"):
        return ""
    return f"To read recordings, {ffmpeg.MISSING}; `{add_command('speech')}` brings a reader, too."


async def samples(recording: Path, told: Decoded) -> AsyncGenerator[bytes, None]:
    """In small pieces, with no more than a few of them in memory.

    Raises:
        BadRequest: it is empty, damaged, or has no sound.
        NoModel: nothing here can read recordings.
    """
    if not await asyncio.to_thread(_size, recording):
        raise BadRequest(_EMPTY, code="invalid_file")
    program = ffmpeg.program()
    if program is not None:
        pieces = _by_ffmpeg(program, recording, told)
    elif find_spec("av"):
        pieces = _by_pyav(recording, told)
    else:
        raise NoModel(refusal())
    async with aclosing(pieces) as all_of_them:
        async for piece in all_of_them:
            yield piece


async def small(recording: Path, most: int) -> bytes:
    """All of it as an Ogg file of `most` bytes: some two hours.

    Raises:
        BadRequest: it is damaged, or has no sound.
        TooLarge: it is too long.
        NoModel: there is no ffmpeg.
    """
    program, made = ffmpeg.program(), bytearray()
    if program is None:
        raise NoModel(f"To have speakers told apart in a recording like this, {ffmpeg.MISSING}.")
    flow = Flow(ffmpeg.compressing(program, str(recording), RATE, FORMATS))
    try:
        async with aclosing(flow.output()) as output:
            async for piece in output:
                made += piece
                if len(made) > most:
                    raise TooLarge("Speakers can be told apart in two hours at most: cut the recording.")
    except ProgramError as error:
        raise BadRequest(_NO_SOUND if _silent(str(error)) else _DAMAGED, code="invalid_file") from error
    return bytes(made)


def _size(recording: Path) -> int:
    return recording.stat().st_size if recording.is_file() else 0


async def _by_ffmpeg(program: str, recording: Path, told: Decoded) -> AsyncGenerator[bytes, None]:
    flow, came = Flow(ffmpeg.decoding(program, str(recording), RATE, FORMATS)), False
    try:
        async with aclosing(flow.output()) as output:
            async for piece in output:
                if not came:
                    told.duration = _duration(flow.beginning())
                came = True
                yield piece
    except ProgramError as error:
        if not came:
            raise BadRequest(_NO_SOUND if _silent(str(error)) else _DAMAGED, code="invalid_file") from error
    if not came:
        raise BadRequest(_DAMAGED, code="invalid_file")


def _silent(complaint: str) -> bool:
    return "matches no streams" in complaint


def _duration(said: str) -> float:
    found = _DURATION.search(said)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


async def _by_pyav(recording: Path, told: Decoded) -> AsyncGenerator[bytes, None]:
    """A step in a thread for each piece."""
    import av

    pieces = _stepped(recording, told, av)
    try:
        while piece := await in_thread(next, pieces, b""):
            yield piece
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise BadRequest(_DAMAGED, code="invalid_file") from error
    finally:
        await asyncio.to_thread(pieces.close)


def _stepped(recording: Path, told: Decoded, av: Any) -> Any:
    with av.open(str(recording), options={"protocol_whitelist": "file", "format_whitelist": FORMATS}) as container:
        if not container.streams.audio:
            raise BadRequest(_NO_SOUND, code="invalid_file")
        told.duration = (container.duration or 0) / 1_000_000
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        held = bytearray()
        for frame in _frames(container, av.error.InvalidDataError):
            for made in resampler.resample(frame):
                held += bytes(made.planes[0])[: made.samples * 2]
            if len(held) >= 2**16:
                yield bytes(held)
                held.clear()
        for made in resampler.resample(None):
            held += bytes(made.planes[0])[: made.samples * 2]
        if held:
            yield bytes(held)


def _frames(container: Any, damaged: type[Exception]) -> Iterator[Any]:
    """Those that can be read; what is damaged in between is left out."""
    packets: Callable[..., Iterator[Any]] = container.demux
    for packet in packets(container.streams.audio[0]):
        try:
            yield from packet.decode()
        except damaged:
            continue
