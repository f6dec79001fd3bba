"""The stand-in of OpenAI's audio endpoints, seen by OpenAI's own Python client."""

import io
import wave
from collections.abc import AsyncIterator

import openai
import pytest

from portal.testing.audio_server import AudioServer
from portal.testing.model_server import Answer


@pytest.fixture
async def server() -> AsyncIterator[AudioServer]:
    models = ["whisper-1", "gpt-4o-transcribe", "tts-1"]
    async with AudioServer(models=models, api_key="k", lists=True) as made:
        yield made


@pytest.fixture
async def client(server: AudioServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0) as made:
        yield made


def sound(seconds: float = 1.0) -> tuple[str, bytes]:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\1\0" * int(8000 * seconds))
    return "sound.wav", held.getvalue()


async def test_transcriptions(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    server.answer("Hello there.", "Bye.")
    told = await client.audio.transcriptions.create(
        model="whisper-1",
        file=sound(2),
        language="en",
        prompt="names",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (told.text, told.duration, told.language) == ("Hello there. Bye.", 2.0, "english")
    assert [(one.start, one.end, one.text) for one in told.segments or ()] == [(0, 1, "Hello there."), (1, 2, "Bye.")]
    assert [word.word for word in told.words or ()] == ["Hello", "there.", "Bye."]
    assert server.uploads[-1].fields == {
        "model": "whisper-1",
        "language": "en",
        "prompt": "names",
        "response_format": "verbose_json",
    }
    assert (await client.audio.transcriptions.create(model="whisper-1", file=sound())).text == "1.0 seconds."
    server.answer("One.")
    text = await client.audio.transcriptions.create(model="whisper-1", file=sound(), response_format="srt")
    assert str(text) == "1\n00:00:00,000 --> 00:00:01,000\nOne.\n\n"
    translated = await client.audio.translations.create(model="whisper-1", file=sound(), response_format="verbose_json")
    assert translated.text == "1.0 seconds."
    server.answer("Hel", "lo")
    events = [
        event
        async for event in await client.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=sound(), stream=True
        )
    ]
    assert [event.type.rpartition(".")[2] for event in events] == ["delta", "delta", "done"]


async def test_what_a_transcription_refuses(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    async def refused(**sent: object) -> str:
        asked: dict[str, object] = {"model": "whisper-1", "file": sound(), **sent}
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.transcriptions.create(**asked)  # type: ignore[call-overload]
        return str(caught.value.body["message"] if isinstance(caught.value.body, dict) else caught.value)

    assert "does not exist" in await refused(model="none")
    assert "Missing" in await refused(model="")
    assert "Unrecognized file format" in await refused(file=("a.txt", b"x"))
    assert "could not be decoded" in await refused(file=("a.wav", b"x"))
    assert "Maximum content size" in await refused(file=("a.mpga", b"x" * (25 * 2**20 + 1)))
    assert "Invalid value: 'xml'" in await refused(response_format="xml")
    assert "not compatible" in await refused(model="gpt-4o-transcribe", response_format="verbose_json")
    assert "need verbose_json" in await refused(timestamp_granularities=["word"])
    assert "temperature" in await refused(temperature=2)
    assert "Unknown parameter" in await refused(extra_body={"best_of": "3"})
    server.script(Answer(status=503, error="busy"))
    assert await refused() == "busy"


async def test_speech(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    made = await client.audio.speech.create(model="tts-1", voice="alloy", input="one two", response_format="wav")
    with wave.open(io.BytesIO(made.content)) as file:
        assert file.getnframes() == 2 * 1440
    for shape in ("mp3", "opus", "aac", "flac", "pcm"):
        made = await client.audio.speech.create(model="tts-1", voice="nova", input="one", response_format=shape)
        assert len(made.content) > 100
    async with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="one", response_format="pcm", stream_format="sse", speed=2
    ) as streamed:
        assert [line async for line in streamed.iter_lines() if "speech.audio.done" in line] != []


async def test_what_speech_refuses(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    async def refused(**sent: object) -> str:
        asked: dict[str, object] = {"model": "tts-1", "voice": "alloy", "input": "hi", **sent}
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.speech.create(**asked)  # type: ignore[arg-type]
        return str(caught.value.body["message"] if isinstance(caught.value.body, dict) else caught.value)

    assert "does not exist" in await refused(model="none")
    assert "'input'" in await refused(input="")
    assert "'input'" in await refused(input="x" * 4097)
    assert "'bob'" in await refused(voice="bob")
    assert "'ogg'" in await refused(response_format="ogg")
    assert "'speed'" in await refused(speed=9)
    assert "Invalid value" in await refused(stream_format="x")
    assert "Unknown parameter" in await refused(extra_body={"pitch": 2})
    server.script(Answer(status=500, error="no sound"))
    assert await refused() == "no sound"


async def test_admission_voices_and_other_bodies(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    told = await client.get("/audio/voices", cast_to=object)
    assert isinstance(told, dict)
    assert len(told["voices"]) == 11
    with pytest.raises(openai.APIStatusError, match="Unsupported content type"):
        await client.post("/audio/transcriptions", body={}, cast_to=object)
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="other", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.audio.transcriptions.create(model="whisper-1", file=sound())
    async with AudioServer() as silent, openai.AsyncOpenAI(base_url=f"{silent.url}/v1", api_key="k") as other:
        with pytest.raises(openai.NotFoundError):
            await other.get("/audio/voices", cast_to=object)
