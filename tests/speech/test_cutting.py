"""Long recordings in pieces: cut in pauses, silence left out, and never much in memory."""

import math
from array import array
from collections.abc import AsyncGenerator

import pytest

from portal.core.wav import header, samples_at, with_length
from portal.speech.cutting import Cut, pieces
from portal.speech.sentences import parts, sentences
from portal.speech.verbose import heard_in

RATE = 16_000


def tone(seconds: float, level: int = 6000) -> bytes:
    one = array("h", (int(level * math.sin(at * math.tau * 200 / RATE)) for at in range(RATE)))
    return (one.tobytes() * math.ceil(seconds))[: int(seconds * RATE) * 2]


async def cut(*parts: bytes, chunk: int = 5000) -> list[Cut]:
    async def stream() -> AsyncGenerator[bytes, None]:
        for part in parts:
            for at in range(0, len(part), chunk):
                yield part[at : at + chunk]

    return [one async for one in pieces(stream())]


async def test_pieces_end_in_pauses() -> None:
    made = await cut(tone(33), tone(1, 20), tone(10))
    assert [round(one.start) for one in made] == [0, 34]
    assert sum(one.seconds for one in made) == pytest.approx(44, abs=0.1)
    assert sum(len(one.samples) for one in made) == 44 * RATE * 2


async def test_without_a_pause_the_quietest_place_will_do() -> None:
    made = await cut(tone(50), tone(0.3, 1500), tone(30))
    assert made[0].seconds == pytest.approx(50.1, abs=0.3)
    assert all(one.seconds <= 60 for one in made)


async def test_silence_is_nobodys() -> None:
    made = await cut(bytes(100 * RATE * 2), tone(2))
    assert [bool(one.samples) for one in made] == [False, False, False, True]
    assert await cut() == []


async def test_two_hours_are_no_more_in_memory_than_a_minute() -> None:
    largest, count, one = 0, 0, tone(5) + bytes(RATE)

    async def stream() -> AsyncGenerator[bytes, None]:
        for _ in range(2 * 3600 // 11 * 2):
            yield one

    async for made in pieces(stream()):
        largest, count = max(largest, len(made.samples)), count + 1
    assert count > 110
    assert largest <= 60 * RATE * 2


def test_sentences_and_parts() -> None:
    assert list(sentences('One. "Two!" Three?\n\nFour')) == ["One.", '"Two!"', "Three?", "Four"]
    assert list(parts("One. Two. Three.", 9)) == ["One. Two.", "Three."]
    assert list(parts("abcdef ghi", 4)) == ["abcd", "ef", "ghi"]
    assert list(parts("One. Two.", 0)) == ["One. Two."]


def test_wav_heads() -> None:
    assert samples_at(header(8000)[:20]) is None
    whole = with_length(header(8000) + b"\1\0" * 50)
    assert whole == header(8000, 100) + b"\1\0" * 50
    assert with_length(b"ID3 sound") == b"ID3 sound"


def test_what_servers_answer_is_read_with_care() -> None:
    odd = {"segments": [{"start": "x", "end": None, "text": 3}, "no"], "words": [{"word": ""}, 7], "language": None}
    (heard,) = heard_in(odd)
    assert heard.segment is not None
    assert (heard.segment.start, heard.segment.end, heard.segment.text) == (0, 0, "3")
    (silent,) = heard_in({"text": "", "duration": 3})
    assert (silent.segment, silent.seconds) == (None, 3.0)
    (nothing,) = heard_in([])
    assert nothing.segment is None
    rows = [{"start": 0, "end": 1, "text": "a b"}, {"start": 1, "end": 2, "text": "c"}]
    words = [{"word": "a", "start": 0, "end": 0.4}, {"word": "b", "start": 0.5, "end": 1}, {"word": "c", "start": 2.5}]
    first, second = heard_in({"segments": rows, "words": words})
    assert first.segment is not None
    assert second.segment is not None
    assert [[word.word for word in one.words] for one in (first.segment, second.segment)] == [["a", "b"], ["c"]]
