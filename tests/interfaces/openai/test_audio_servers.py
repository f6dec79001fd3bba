"""What audio servers of different makes can do and cannot: telling speakers apart, formats, voices without words."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.interfaces.openai.test_audio import refusal, seen, wav

from portal.testing.audio_server import AudioServer
from portal.testing.portal import open_test_portal

SAMPLE = "data:audio/wav;base64,UklGRg=="
TALK = ("Shall we begin?", "Let us.", "Then I begin.")


@asynccontextmanager
async def asking(folder: Path, server: AudioServer, **engine: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client of a Portal that knows this server, beside espeak-ng."""
    named = {"kind": "openai_compatible", "name": "sounds", "url": server.url, **engine}
    async with (
        open_test_portal(folder / "data", settings={"speech": {"engines": [named]}}) as portal,
        openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as client,
    ):
        yield client


async def test_speakers_are_told_apart_by_a_model_that_can(tmp_path: Path) -> None:
    models = ["whisper-1", "gpt-4o-transcribe-diarize"]
    async with (
        AudioServer(models=models, diarizes="diarized_json") as server,
        asking(tmp_path, server, transcription=models) as client,
    ):
        server.answer(*TALK)
        made: Any = await client.audio.transcriptions.create(
            model="auto", file=("a.wav", wav(60)), response_format="diarized_json", chunking_strategy="auto"
        )
        assert [(one.speaker, one.text) for one in made.segments] == list(zip("ABA", TALK, strict=True))
        assert (made.task, made.text, made.duration) == ("transcribe", " ".join(TALK), 60)
        assert (made.segments[1].id, made.segments[1].start) == ("seg_002", 20)
        sent = server.uploads[-1]
        assert (sent.fields["model"], sent.fields["chunking_strategy"]) == ("gpt-4o-transcribe-diarize", "auto")

        server.answer(*TALK)
        known = {"known_speaker_names": ["Ada", "Bob"], "known_speaker_references": [SAMPLE, SAMPLE + "A" * 2**21]}
        asked = client.audio.transcriptions.create(
            model="auto", file=("a.wav", wav(4)), response_format="diarized_json", stream=True, **known
        )
        events: list[Any] = [event async for event in await asked]
        segments = [one for one in events if one.type == "transcript.text.segment"]
        assert [one.speaker for one in segments] == ["Ada", "Bob", "Ada"]
        assert [one.segment_id for one in events if one.type == "transcript.text.delta"] == [one.id for one in segments]
        assert events[-1].text == " ".join(TALK)


async def test_a_long_film_goes_whole_and_small(tmp_path: Path) -> None:
    """In a container that the server does not take: cut into pieces, nobody would know who is who."""
    film = await asyncio.to_thread(_film)
    async with (
        AudioServer(models=["whisperx"], diarizes="verbose_json") as server,
        asking(tmp_path, server, transcription=["whisperx"], diarizes=True) as client,
    ):
        server.answer("Hello.", "Good day.")
        made: Any = await client.audio.transcriptions.create(
            model="whisperx", file=("film.mkv", film), response_format="diarized_json", prompt="Portal"
        )
        assert [one.speaker for one in made.segments] == ["A", "B"]
        (sent,) = server.uploads
        assert (sent.name, sent.fields["diarize"]) == ("recording.ogg", "true")
        assert len(sent.content) < 24_000 / 8 * 130 * 1.5
        assert seen(sent.content)["codec_name"] == "opus"
        for name, content in (("noise.mkv", b"\0\1" * 9000), ("silent.mkv", await asyncio.to_thread(_film, "-an"))):
            with pytest.raises(openai.BadRequestError) as caught:
                await client.audio.transcriptions.create(
                    model="whisperx", file=(name, content), response_format="diarized_json"
                )
            assert refusal(caught.value)["code"] == "invalid_file"


def _film(*options: str) -> bytes:
    picture = ["-f", "lavfi", "-i", "color=black:s=16x16:r=1:d=130", "-f", "lavfi", "-i", "sine=220:d=130"]
    made = ["ffmpeg", "-loglevel", "error", *picture, "-c:a", "flac", *options, "-f", "matroska", "pipe:1"]
    return subprocess.run(made, capture_output=True, check=True).stdout


async def test_where_nobody_tells_speakers_apart_it_says_what_would(tmp_path: Path) -> None:
    async def refused(client: openai.AsyncOpenAI, **more: Any) -> tuple[str, str]:
        asked = {"model": "whisper-1", "file": ("a.wav", wav(1)), "response_format": "diarized_json", **more}
        with pytest.raises(openai.BadRequestError) as caught:
            await client.audio.transcriptions.create(**asked)
        told = refusal(caught.value)
        return str(told["code"]), told["message"]

    async with AudioServer(models=["whisper-1"]) as server:
        async with asking(tmp_path / "a", server, transcription=["whisper-1"]) as client:
            code, message = await refused(client)
            assert (code, "diarizes = true" in message) == ("diarization_unavailable", True)
            assert server.uploads == []
            with pytest.raises(openai.BadRequestError) as caught:
                await client.audio.translations.create(
                    model="whisper-1",
                    file=("a.wav", wav(1)),
                    response_format="diarized_json",  # type: ignore[call-overload]
                )
            assert refusal(caught.value)["param"] == "response_format"
            for names, samples in (
                (["Ada"], []),
                (["Ada"] * 5, [SAMPLE] * 5),
                (["Ada"], ["https://example.org/a.wav"]),
            ):
                code, _ = await refused(client, known_speaker_names=names, known_speaker_references=samples)
                assert code == "invalid_value"
        async with asking(tmp_path / "b", server, transcription=["whisper-1"], diarizes=True) as client:
            assert "diarize" in (await refused(client))[1]


@pytest.mark.parametrize("kind", ["only", "always"])
async def test_a_server_that_makes_wav_alone_speaks_in_every_format(tmp_path: Path, kind: Any) -> None:
    async with (
        AudioServer(models=["orpheus"], wav=kind) as server,
        asking(tmp_path, server, speech=["orpheus"]) as client,
    ):
        for wanted, found in {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac", "wav": "wav"}.items():
            made = await client.audio.speech.create(
                model="orpheus",
                voice="alloy",
                input="One two three four.",
                response_format=wanted,  # type: ignore[arg-type]
            )
            assert seen(made.content)["format"] == found, wanted
        bare = await client.audio.speech.create(
            model="orpheus", voice="alloy", input="One two three four.", response_format="pcm"
        )
        assert abs(len(bare.content) - 4 * 1440 * 2) < 100
        with pytest.raises(openai.BadRequestError, match="nobody"):
            await client.audio.speech.create(model="orpheus", voice="nobody", input="hi", response_format="mp3")


async def test_a_voice_is_imitated_without_the_words_of_its_recording(tmp_path: Path) -> None:
    async with (
        AudioServer(models=["tts-base"], clones=True) as server,
        asking(tmp_path, server, speech=["tts-base"], clones=True) as client,
    ):
        made = await client.audio.speech.create(
            model="auto", voice="alloy", input="hi", response_format="wav", extra_body={"ref_audio": SAMPLE}
        )
        assert made.content[:4] == b"RIFF"
        sent = server.requests[-1].body
        assert (sent["task_type"], sent["x_vector_only_mode"], "ref_text" in sent) == ("Base", True, False)


async def test_a_voice_that_a_server_has_since_learned_is_known(tmp_path: Path) -> None:
    async with (
        AudioServer(models=["kokoro"], voices=["af_sky"], lists=True) as server,
        asking(tmp_path, server, speech=["kokoro"]) as client,
    ):
        asked: dict[str, Any] = {"model": "kokoro", "voice": "my_own", "input": "hi", "response_format": "wav"}
        with pytest.raises(openai.BadRequestError, match="no voice 'my_own'"):
            await client.audio.speech.create(**asked)
        server.voices.append("my_own")
        assert (await client.audio.speech.create(**asked)).content[:4] == b"RIFF"
        assert server.requests[-1].body["voice"] == "my_own"
        server.voices.append("another")
        listed = await client.get("/audio/voices?model=kokoro", cast_to=httpx.Response)
        assert [one["id"] for one in listed.json()["data"]] == ["af_sky", "my_own", "another"]


async def test_names_of_openais_newer_models_mean_the_usual_one(tmp_path: Path) -> None:
    async with (
        AudioServer(models=["parakeet"]) as server,
        asking(tmp_path, server, transcription=["parakeet"]) as client,
    ):
        for name in ("gpt-transcribe", "gpt-4o-mini-transcribe-2025-12-15"):
            await client.audio.transcriptions.create(model=name, file=("a.wav", wav(1)))
        made = await client.audio.speech.create(
            model="gpt-4o-mini-tts-2025-12-15", voice="alloy", input="hi", response_format="wav"
        )
        assert made.response.headers["x-portal-model"] == "espeak-ng"
    assert [one.fields["model"] for one in server.uploads] == ["parakeet"] * 2
