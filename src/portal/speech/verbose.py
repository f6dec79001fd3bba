"""OpenAI's `verbose_json` of a transcription, as servers of many makes answer with it, read with care."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from portal.core.speech import Heard, Segment, Word


def heard_in(answer: Any) -> Iterator[Heard]:
    """The segments of an answer; of one that has only its text, that as one segment."""
    told = answer if isinstance(answer, dict) else {}
    language, duration = str(told.get("language") or ""), _number(told.get("duration")) or 0.0
    words = list(_words(told.get("words")))
    rows = [row for row in told.get("segments") or () if isinstance(row, dict)]
    for number, row in enumerate(rows):
        last = number + 1 == len(rows)
        segment = _segment(row, language, [*_words(row.get("words"))] or _taken(words, row, last=last))
        yield Heard(segment, seconds=segment.end, duration=duration)
    text = str(told.get("text") or "").strip()
    if not rows and text:
        whole = Segment(start=0.0, end=duration, text=text, words=tuple(words), language=language)
        yield Heard(whole, seconds=duration, duration=duration)
    elif not rows:
        yield Heard(None, seconds=duration, duration=duration)


def _segment(row: dict[str, Any], language: str, words: Sequence[Word]) -> Segment:
    start = _number(row.get("start")) or 0.0
    return Segment(
        start=start,
        end=max(start, _number(row.get("end")) or start),
        text=str(row.get("text") or "").strip(),
        words=tuple(words),
        language=language,
        confidence=_number(row.get("avg_logprob")),
        silence=_number(row.get("no_speech_prob")),
        speaker=str(row.get("speaker") or "").strip(),
    )


def _words(rows: object) -> Iterator[Word]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("word"):
            start = _number(row.get("start")) or 0.0
            yield Word(str(row["word"]).strip(), start, max(start, _number(row.get("end")) or start))


def _taken(words: list[Word], row: dict[str, Any], *, last: bool) -> Sequence[Word]:
    """Those that begin in a segment, out of the words of all."""
    end = math.inf if last else _number(row.get("end")) or 0.0
    taken = []
    while words and words[0].start < end:
        taken.append(words.pop(0))
    return taken


def _number(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return number if number is not None and math.isfinite(number) else None
