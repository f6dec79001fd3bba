"""A long recording in pieces, cut where nobody speaks; what has no speech at all is left out."""

from array import array
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from portal.speech.decoding import RATE

_FRAME = RATE * 2 * 30 // 1000
"""Bytes of 30 milliseconds."""
_EVERY = 4
"""One sample of so many tells how loud a frame is: the voice is well below 2 kHz."""
_QUIET = 48
"""A mean level below which nobody speaks, of 32,767: about -57 dB."""
_SHARE = 0.12
"""Of a piece's mean level: what counts as a pause within it."""
_PAUSE = 20
"""Frames of a pause at which a piece may end."""
_GAP = 7
"""Frames: where no pause comes, the quietest stretch of this length."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece; `start` in seconds. Without samples nobody speaks in it."""

    start: float
    seconds: float
    samples: bytes


class _Under:
    """The piece that is being collected."""

    def __init__(self) -> None:
        self.samples = bytearray()
        self.levels: list[float] = []
        self.total = 0.0

    def add(self, frame: bytes) -> None:
        level = _level(frame)
        self.samples += frame
        self.levels.append(level)
        self.total += level

    def pausing(self) -> bool:
        """Whether it ends with a pause."""
        bound = max(_QUIET, _SHARE * self.total / len(self.levels))
        return all(level < bound for level in self.levels[-_PAUSE:])

    def quietest(self) -> int:
        """The frame in its second half at which cutting hurts least."""
        half = len(self.levels) // 2
        sums = [(sum(self.levels[at : at + _GAP]), -at) for at in range(half, len(self.levels) - _GAP)]
        return -min(sums)[1] + _GAP // 2

    def take(self, frames: int) -> bytes:
        """Its first frames, which it does not have any more; nothing where all of them are silent."""
        taken, speech = bytes(self.samples[: frames * _FRAME]), max(self.levels[:frames]) >= _QUIET
        del self.samples[: frames * _FRAME], self.levels[:frames]
        self.total = sum(self.levels)
        return taken if speech else b""


async def pieces(
    samples: AsyncGenerator[bytes, None], *, usual: float = 30.0, longest: float = 60.0
) -> AsyncGenerator[Cut, None]:
    """From `usual` seconds on a piece ends at the first pause; at `longest` at its quietest place."""
    least, most = int(usual * 1000 / 30), int(longest * 1000 / 30)
    under, rest, done = _Under(), b"", 0
    async for chunk in samples:
        rest += chunk
        whole = len(rest) - len(rest) % _FRAME
        for at in range(0, whole, _FRAME):
            under.add(rest[at : at + _FRAME])
            count = len(under.levels)
            if count >= most or (count >= least and under.pausing()):
                frames = under.quietest() if count >= most and not under.pausing() else count
                yield _cut(done, frames, under.take(frames))
                done += frames
        rest = rest[whole:]
    if rest:
        under.add(rest)
    if under.levels:
        frames = len(under.levels)
        yield _cut(done, frames, under.take(frames))


def _cut(done: int, frames: int, samples: bytes) -> Cut:
    return Cut(done * 0.03, frames * 0.03, samples)


def _level(frame: bytes) -> float:
    values = array("h", frame[: len(frame) // 2 * 2])[::_EVERY]
    return sum(map(abs, values)) / len(values) if values else 0.0
