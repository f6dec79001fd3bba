"""Samples that come from anywhere, as a sound in the format that was asked for."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from portal.core import wav
from portal.core.speech import PCM_RATE, SoundFormat
from portal.errors import BackendError, NoModel
from portal.speech import ffmpeg
from portal.speech.programs import Flow, ProgramError


async def encoded(
    samples: AsyncGenerator[bytes, None], *, rate: int, wanted: SoundFormat
) -> AsyncGenerator[bytes, None]:
    """WAV as it comes; other formats piece by piece of what came. The caller closes `samples`.

    Raises:
        NoModel: the format needs ffmpeg, and that is not there.
    """
    if wanted == "wav" or (wanted == "pcm" and rate == PCM_RATE):
        if wanted == "wav":
            yield wav.header(rate)
        async for piece in samples:
            yield piece
        return
    async with aclosing(_made(samples, rate, wanted, headed=False)) as pieces:
        async for piece in pieces:
            yield piece


async def reencoded(sound: AsyncGenerator[bytes, None], wanted: SoundFormat) -> AsyncGenerator[bytes, None]:
    """A whole WAV in another format. The caller closes `sound`. Raises NoModel: see encoded."""
    async with aclosing(_made(sound, PCM_RATE, wanted, headed=True)) as pieces:
        async for piece in pieces:
            yield piece


async def _made(
    sound: AsyncGenerator[bytes, None], rate: int, wanted: SoundFormat, *, headed: bool
) -> AsyncGenerator[bytes, None]:
    program = ffmpeg.program()
    if program is None:
        raise NoModel(f"For {wanted} {ffmpeg.MISSING}; wav works without it.")
    held = b"".join([piece async for piece in sound])
    flow = Flow(ffmpeg.encoding(program, rate, wanted, headed=headed), given=held)
    try:
        async with aclosing(flow.output()) as output:
            async for piece in output:
                yield piece
    except ProgramError as error:
        raise BackendError(f"ffmpeg could not make {wanted} of it: {error}.") from error
