"""A transcript as subtitles: SRT and WebVTT."""

import re
from collections.abc import Sequence

from portal.core.speech import Segment

_BLANK = re.compile(r"\s*\n\s*")


def srt(segments: Sequence[Segment]) -> str:
    """SubRip."""
    cues = enumerate(_cues(segments), 1)
    return "".join(
        f"{number}\n{clock(one.start, ',')} --> {clock(one.end, ',')}\n{_line(one)}\n\n" for number, one in cues
    )


def vtt(segments: Sequence[Segment]) -> str:
    """WebVTT; what would be markup there is written out."""
    cues = (f"{clock(one.start, '.')} --> {clock(one.end, '.')}\n{_escaped(_line(one))}\n\n" for one in _cues(segments))
    return "WEBVTT\n\n" + "".join(cues)


def clock(seconds: float, point: str = ".") -> str:
    """`01:02:03.456`."""
    whole = max(0, round(seconds * 1000))
    minutes, milliseconds = divmod(whole, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def minute(seconds: float) -> str:
    """For people: `2:05`, or `1:02:05` where it is over an hour."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _cues(segments: Sequence[Segment]) -> Sequence[Segment]:
    return [segment for segment in segments if segment.text.strip()]


def _line(segment: Segment) -> str:
    """A blank line would end it early."""
    return _BLANK.sub("\n", segment.text.strip())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
