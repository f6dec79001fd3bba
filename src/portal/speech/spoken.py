"""Bare samples that a program speaks, as a sound in the format that was asked for."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from portal.core import wav
from portal.core.speech import PCM_RATE, SoundFormat
from portal.errors import BackendError, NoModel
from portal.speech import ffmpeg
from portal.speech.programs import Flow, ProgramError


def check(wanted: SoundFormat, rate: int) -> None:
    """Raises NoModel where the format needs ffmpeg and that is not there."""
    if ffmpeg.program() is None and not _bare(wanted, rate):
        raise NoModel(f"For {wanted} {ffmpeg.MISSING}; wav works without it.")


async def spoken(
    command: Sequence[str], *, name: str, text: str, rate: int, wanted: SoundFormat, headed: bool
) -> AsyncGenerator[bytes, None]:
    """What the program says to the text it gets as its input. `headed`: it writes a WAV, else bare samples.

    Raises:
        NoModel: see check.
        BackendError: the program failed.
    """
    check(wanted, rate)
    encoder, bare = ffmpeg.program(), _bare(wanted, rate)
    after = [] if bare or encoder is None else [ffmpeg.encoding(encoder, rate, wanted, headed=headed)]
    flow = Flow(command, *after, given=text.encode("utf-8"))
    try:
        async with aclosing(flow.output()) as output:
            head = b"" if bare and headed else None
            if wanted == "wav":
                yield wav.header(rate)
            async for chunk in output:
                head, samples = wav.after_head(head, chunk)
                if samples:
                    yield samples
    except ProgramError as error:
        raise BackendError(f"{name} could not say this: {str(error).splitlines()[-1][:300]}.") from error


def _bare(wanted: SoundFormat, rate: int) -> bool:
    """Whether its samples are what is wanted, but for a head."""
    return wanted == "wav" or (wanted == "pcm" and rate == PCM_RATE)
