"""`/v1/audio` as OpenAI's own client uses it: espeak-ng and ffmpeg for real, and a model server that listens."""

import asyncio
import io
import json
import subprocess
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.core.records import UsageRecord
from portal.core.terms import Terms
from portal.interfaces.openai.sounding import Call
from portal.testing.audio_server import AudioServer
from portal.testing.model_server import Answer, Fault
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[AudioServer]:
    models = ["whisper-1", "gpt-4o-transcribe", "kokoro"]
    async with AudioServer(models=models, voices=["af_bella", "af_sky", "bm_george"], lists=True) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(server: AudioServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    """One Portal beside one model server; the embedded voice is there as well."""
    folder = tmp_path_factory.mktemp("portal") / "data"
    backend = OpenAICompatible(Config(url=server.url, name="sounds"))
    async with open_test_portal(folder, backends=[backend], settings={"speech": {"longest": 20_000}}) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal: TestPortal) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")


def spoken(text: str, *arguments: str) -> bytes:
    """A WAV of espeak-ng's."""
    return subprocess.run(["espeak-ng", "--stdout", *arguments, text], capture_output=True, check=True).stdout


def seen(sound: bytes) -> dict[str, Any]:
    """What ffprobe says of a sound."""
    asked = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", "-"]
    found = subprocess.run(asked, input=sound, capture_output=True, check=True).stdout
    told: dict[str, Any] = json.loads(found)
    return {**told["streams"][0], "format": told["format"]["format_name"]}


def refusal(error: openai.APIStatusError) -> dict[str, Any]:
    body: Any = error.body
    return dict(body)


async def test_models_are_listed_with_what_they_do(client: openai.AsyncOpenAI) -> None:
    listed = {model.id: model for model in (await client.models.list()).data}
    kinds = {name: (listed[name].model_extra or {})["capabilities"] for name in ("whisper-1", "kokoro", "espeak-ng")}
    assert kinds == {"whisper-1": ["transcription"], "kokoro": ["speech"], "espeak-ng": ["speech"]}
    assert [name for name in listed if name == "whisper-1"] == ["whisper-1"]
    assert (await client.models.retrieve("espeak-ng")).owned_by == "espeak_ng"


async def test_every_format_is_what_it_says(client: openai.AsyncOpenAI) -> None:
    formats = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac", "wav": "wav"}
    for wanted, kind in formats.items():
        made = await client.audio.speech.create(
            model="espeak-ng",
            voice="alloy",
            input="One. Two.",
            response_format=wanted,  # type: ignore[arg-type]
        )
        assert seen(made.content)["format"] == kind, wanted
        assert made.response.headers["x-portal-model"] == "espeak-ng"
    bare = await client.audio.speech.create(
        model="espeak-ng", voice="de", input="Guten Tag", response_format="pcm", speed=2
    )
    slow = await client.audio.speech.create(
        model="espeak-ng", voice="de", input="Guten Tag", response_format="pcm", speed=0.5
    )
    assert 0 < len(bare.content) < len(slow.content)
    assert bare.response.headers["content-type"] == "audio/pcm"


async def test_nothing_of_a_sound_is_lost_on_its_way_into_another_format(client: openai.AsyncOpenAI) -> None:
    async def said(wanted: Any) -> bytes:
        made = await client.audio.speech.create(
            model="espeak-ng", voice="en-us", input="Good morning.", response_format=wanted
        )
        return made.content

    whole = (len(await said("wav")) - 44) / 2 / 22_050
    assert len(await said("pcm")) / 2 / 24_000 == pytest.approx(whole, abs=0.005)
    command = ["ffmpeg", "-loglevel", "error", "-i", "pipe:0", "-f", "s16le", "-ar", "24000", "pipe:1"]
    again = subprocess.run(command, input=await said("flac"), capture_output=True, check=True).stdout
    assert len(again) / 2 / 24_000 == pytest.approx(whole, abs=0.005)


async def test_speech_of_a_server_comes_as_the_server_sends_it(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    made = await client.audio.speech.create(
        model="tts-1", voice="AF_Sky", input="one two", response_format="wav", speed=1.5, instructions="Softly."
    )
    with wave.open(io.BytesIO(made.content)) as file:
        assert file.getnframes() == 1920
    assert server.requests[-1].body == {
        "model": "kokoro",
        "input": "one two",
        "voice": "af_sky",
        "response_format": "wav",
        "speed": 1.5,
        "instructions": "Softly.",
    }
    long = await client.audio.speech.create(
        model="kokoro", voice="nova", input="word word word. " * 300, response_format="wav"
    )
    assert server.requests[-2].body["voice"] == "af_bella"
    assert [len(one.body["input"]) <= 4096 for one in server.requests[-2:]] == [True, True]
    assert len(long.content) == 44 + 900 * 1440 * 2
    with pytest.raises(openai.BadRequestError, match="FLAC"):
        await client.audio.speech.create(model="kokoro", voice="nova", input="word. " * 900, response_format="flac")


async def test_speech_as_events(client: openai.AsyncOpenAI, server: AudioServer) -> None:
    asked: dict[str, Any] = {"model": "espeak-ng", "voice": "en-us", "input": "Hello.", "stream_format": "sse"}
    events = await _events(client, asked)
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    server.script(Answer(frames=[b"sound", b"more"], fault=Fault.RESET, after=1))
    broken = await _events(client, {**asked, "model": "kokoro", "voice": "af_sky"})
    assert broken[-1]["error"]["code"] == "backend_interrupted"


async def _events(client: openai.AsyncOpenAI, asked: dict[str, Any]) -> list[dict[str, Any]]:
    async with client.audio.speech.with_streaming_response.create(**asked) as streamed:
        return [json.loads(line[6:]) async for line in streamed.iter_lines() if line.startswith("data: ")]


async def test_what_cannot_be_said(client: openai.AsyncOpenAI, server: AudioServer) -> None:
    async def refused(**sent: Any) -> tuple[int, str, str]:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.speech.create(**{"model": "espeak-ng", "voice": "en-us", "input": "hi", **sent})
        told = refusal(caught.value)
        return caught.value.status_code, str(told["code"]), told["message"]

    status, code, message = await refused(voice="en-uz")
    assert (status, code) == (400, "voice_not_found")
    assert "en-us" in message
    assert (await refused(model="kokoro", voice="af_bela"))[2].endswith("these: af_bella?")
    assert "3, such as af_bella" in (await refused(model="kokoro", voice="zzzz"))[2]
    assert (await refused(model="espeak"))[1:2] == ("model_not_found",)
    assert "espeak-ng" in (await refused(model="espeak"))[2]
    assert (await refused(input="  "))[:2] == (400, "empty_string")
    assert (await refused(input="x" * 20_001))[:2] == (413, "text_too_long")
    assert (await refused(response_format="ogg"))[:2] == (400, "invalid_value")
    assert (await refused(speed=5))[0] == 400
    server.script(Answer(status=500, error="out of memory"))
    status, code, message = await refused(model="kokoro", voice="af_sky")
    assert (status, code) == (503, "backend_unavailable")
    assert "out of memory" in message


async def test_a_voice_is_imitated_where_an_engine_can(client: openai.AsyncOpenAI, tmp_path: Path) -> None:
    sample = "data:audio/wav;base64,UklGRg=="
    for given, code in ((sample, "voice_cloning_unavailable"), ("https://example.org/me.wav", "invalid_value")):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.audio.speech.create(
                model="espeak-ng", voice="alloy", input="hi", extra_body={"ref_audio": given}
            )
        told = refusal(caught.value)
        assert (told["code"], told["param"]) == (code, "ref_audio")
    engine = {"kind": "openai_compatible", "name": "cloner", "speech": ["tts-base"], "clones": True}
    async with AudioServer(models=["tts-base"], clones=True) as cloner:
        settings = {"speech": {"engines": [{**engine, "url": cloner.url}]}}
        async with (
            open_test_portal(tmp_path / "data", settings=settings) as portal,
            openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as mine,
        ):
            more = {"ref_audio": sample, "ref_text": "Good day."}
            made = await mine.audio.speech.create(
                model="auto", voice="alloy", input="hi", response_format="wav", extra_body=more
            )
            assert (await made.aread())[:4] == b"RIFF"
            assert cloner.requests[-1].body.items() >= more.items()


async def test_a_sound_that_breaks_off_is_not_whole(portal: TestPortal, server: AudioServer) -> None:
    server.script(Answer(frames=[b"sound", b"more"], fault=Fault.RESET, after=1))
    body = {"model": "kokoro", "voice": "af_sky", "input": "hi"}
    async with httpx.AsyncClient(headers=portal.headers) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"{portal.url}/v1/audio/speech", json=body)


async def test_voices(portal: TestPortal) -> None:
    async with httpx.AsyncClient(headers=portal.headers, base_url=portal.url) as client:
        told = (await client.get("/v1/audio/voices", params={"model": "kokoro"})).json()
        assert [voice["id"] for voice in told["data"]] == ["af_bella", "af_sky", "bm_george"]
        assert told["voices"][0] == {"id": "af_bella", "name": "Af_Bella"}
        all_of_them = (await client.get("/v1/audio/voices")).json()["data"]
        assert {voice["model"] for voice in all_of_them} == {"kokoro", "espeak-ng"}
        assert [voice["language"] for voice in all_of_them if voice["id"] == "cmn"] == ["cmn"]
        assert (await client.get("/v1/audio/voices", params={"model": "none"})).status_code == 404


async def test_a_language_chooses_a_voice(portal: TestPortal, client: openai.AsyncOpenAI) -> None:
    said = {
        language: (
            await client.audio.speech.create(
                model="espeak-ng",
                voice="alloy",
                input="Ich spreche Deutsch und zahle 100 Euro.",
                response_format="wav",
                extra_body={"language": language},
            )
        ).content
        for language in ("de-AT", "en-GB", "xx")
    }
    assert len(set(said.values())) == 3


async def test_transcriptions_in_every_form(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    async def heard(**sent: Any) -> Any:
        server.answer("Hello <there>.", "How are you?")
        return await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(4)), **sent)

    assert (await heard()).text == "Hello <there>. How are you?"
    assert await heard(response_format="text") == "Hello <there>. How are you?\n"
    assert (await heard(response_format="srt")).startswith("1\n00:00:00,000 --> 00:00:02,000\nHello <there>.\n\n2\n")
    assert "00:00:02.000 --> 00:00:04.000\nHow are you?" in await heard(response_format="vtt")
    assert "&lt;there&gt;" in await heard(response_format="vtt")
    told = await heard(
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="EN",
        prompt="Portal",
        temperature=0.2,
    )
    assert (told.language, told.duration, told.model_extra["task"]) == ("english", 4.0, "transcribe")
    assert [(one.start, one.end, one.avg_logprob) for one in told.segments] == [(0, 2, -0.2), (2, 4, -0.2)]
    assert [(word.word, word.start) for word in told.words][2:4] == [("How", 2.0), ("are", 2.667)] or told.words
    sent = server.uploads[-1]
    assert (sent.fields["language"], sent.fields["prompt"], sent.fields["temperature"]) == ("en", "Portal", "0.2")
    only = await heard(response_format="verbose_json", timestamp_granularities=["word"])
    assert only.segments is None
    assert only.usage.seconds == 4


def wav(seconds: float) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * int(8000 * seconds))
    return held.getvalue()


async def test_translations(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    server.answer("Good day.")
    told: Any = await client.audio.translations.create(
        model="whisper-1", file=("a.wav", wav(1)), response_format="verbose_json"
    )
    assert (told.text, told.model_extra["task"]) == ("Good day.", "translate")
    assert server.requests[-1].path == "/v1/audio/translations"


async def test_a_model_without_segments(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    server.answer("All at once.")
    told = await client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", wav(3)), response_format="srt"
    )
    assert "All at once." in str(told)


async def test_transcription_as_it_is_heard(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    server.answer("One.", "Two.")
    asked = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(2)), stream=True)
    events = [event async for event in await asked]
    assert [event.type.rpartition(".")[2] for event in events] == ["delta", "delta", "done"]
    assert [getattr(event, "delta", "") for event in events] == ["One.", " Two.", ""]
    assert getattr(events[-1], "text", "") == "One. Two."


async def test_a_long_recording_goes_piece_by_piece(
    portal: TestPortal, server: AudioServer, client: openai.AsyncOpenAI
) -> None:
    """As a film of a kind that the server does not take: decoded, cut at its pauses, silence left out."""
    count = len(server.uploads)
    film = await asyncio.to_thread(_film)
    async with client.audio.transcriptions.with_streaming_response.create(
        model="whisper-1", file=("film.mkv", film), stream=True, extra_query={"portal_events": "1"}
    ) as streamed:
        lines = [json.loads(line[6:]) async for line in streamed.iter_lines() if line.startswith("data: ")]
    sent = server.uploads[count:]
    assert len(sent) >= 2
    assert all(one.name == "recording.wav" and one.seconds <= 60 for one in sent)
    assert "seconds" in sent[1].fields["prompt"]  # what was said before, so that names stay the same
    steps = [line for line in lines if line["type"] == "portal:transcript.progress"]
    assert [step["seconds"] for step in steps] == sorted(step["seconds"] for step in steps)
    assert steps[-1]["duration"] == pytest.approx(200, abs=3)
    assert lines[-1]["usage"]["seconds"] == pytest.approx(200, abs=3)
    assert sum(one.seconds for one in sent) < 150  # a minute of silence is nobody's to hear


def _film() -> bytes:
    """Speech, a minute and more of silence, and speech again, under a picture."""
    text = "This is a sentence that somebody says. " * 24
    made = subprocess.run(
        [
            *("ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "color=black:s=16x16:r=1:d=200"),
            *(
                "-i",
                "pipe:0",
                "-filter_complex",
                "[1:a]atrim=0:65,apad=pad_dur=70,asplit[a][b];[b]atrim=0:65[c];[a][c]concat=n=2:v=0:a=1[s]",
            ),
            *("-map", "0:v", "-map", "[s]", "-t", "200", "-c:a", "libopus", "-f", "matroska", "pipe:1"),
        ],
        input=spoken(text),
        capture_output=True,
        check=True,
    )
    return made.stdout


async def test_what_cannot_be_heard(server: AudioServer, client: openai.AsyncOpenAI, tmp_path: Path) -> None:
    async def refused(**sent: Any) -> tuple[int, str, str]:
        asked: dict[str, Any] = {"model": "whisper-1", "file": ("a.wav", wav(1)), **sent}
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.transcriptions.create(**asked)
        told = refusal(caught.value)
        return caught.value.status_code, str(told["code"]), told["message"]

    picture = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "color=red:s=16x16:d=1", "-f", "matroska", "pipe:1"]
    silent = subprocess.run(picture, capture_output=True, check=True).stdout
    assert (await refused(file=("a.mp3", b"")))[1:] == ("invalid_file", "The file is empty.")
    assert "has no sound" in (await refused(file=("film.mkv", silent)))[2]
    assert "damaged" in (await refused(file=("noise.mkv", bytes(range(256)) * 40)))[2]
    listing = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    assert "damaged" in (await refused(file=("list.m3u8", listing)))[2]
    assert "could not be decoded" in (await refused(file=("a.wav", b"nonsense")))[2]
    assert (await refused(model="whisper-9"))[1] == "model_not_found"
    assert "whisper-1" in (await refused(model="whisper-9"))[2]
    assert (await refused(response_format="xml"))[:2] == (400, "invalid_value")
    assert (await refused(timestamp_granularities=["word"]))[0] == 400
    assert (await refused(response_format="verbose_json", timestamp_granularities=["letter"]))[0] == 400
    assert (await refused(temperature=2))[0] == 400
    assert (await refused(extra_body={"temperature": "warm"}))[1] == "invalid_type"
    assert (await refused(extra_body={"stream": "maybe"}))[1] == "invalid_type"
    server.script(Answer(status=429, error="too many", headers={"Retry-After": "3"}))
    assert (await refused())[0] == 503


async def test_a_stream_that_fails(server: AudioServer, client: openai.AsyncOpenAI) -> None:
    """Before the first word it is an answer of its own; after it, an error in the stream."""
    server.script(Answer(status=500, error="no memory"))
    with pytest.raises(openai.InternalServerError):
        await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(1)), stream=True)
    server.script(Answer(text=["First part."]), Answer(status=500, error="no memory"))
    speech = await asyncio.to_thread(spoken, "This is a sentence that somebody says. " * 60)
    events = await client.audio.transcriptions.create(model="whisper-1", file=("a.aiff", speech), stream=True)
    with pytest.raises(openai.APIError, match="no memory"):
        [event async for event in events]


async def test_bodies_that_are_no_forms(portal: TestPortal) -> None:
    async with httpx.AsyncClient(headers=portal.headers, base_url=portal.url) as client:
        assert (await client.post("/v1/audio/transcriptions", json={})).json()["error"][
            "code"
        ] == "invalid_content_type"
        lacking = await client.post("/v1/audio/transcriptions", data={"model": "x"}, files={"other": b"x"})
        assert lacking.json()["error"]["param"] == "file"
        unnamed = await client.post("/v1/audio/transcriptions", files={"file": b"x"})
        assert unnamed.json()["error"]["param"] == "model"
        part = "--x\r\nContent-Disposition: form-data; name="
        odd = f'{part}"model"\r\n\r\nwhisper-1\r\n{part}"file"; filename="a.\x00b"\r\n\r\nnoise\r\n--x--\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        named = await client.post("/v1/audio/transcriptions", content=odd.encode(), headers=kind)
        assert (named.status_code, named.json()["error"]["code"]) == (400, "invalid_file")


async def test_calls_are_counted(portal: TestPortal, client: openai.AsyncOpenAI) -> None:
    before = await _calls(portal)
    await client.audio.speech.create(model="espeak-ng", voice="alloy", input="hi", response_format="wav")
    await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav(1)))
    after = await _calls(portal)
    assert {name: after[name] - before.get(name, 0) for name in ("espeak-ng", "whisper-1")} == {
        "espeak-ng": 1,
        "whisper-1": 1,
    }


async def test_the_time_to_the_first_sound_is_told() -> None:
    class Log:
        def __init__(self) -> None:
            self.records: list[UsageRecord] = []

        def begun(self) -> None: ...

        def record(self, usage: UsageRecord) -> None:
            self.records.append(usage)

        async def summary(self, owner: str, since: int) -> list[Any]:
            return []

    log, ticks = Log(), iter((1.0, 1.5, 4.0, 9.0))
    call = Call(log, "usr_1", "speech", now=lambda: next(ticks))
    with call.of("espeak-ng", []):
        call.answering()
        call.answering()
        call.completed()
    (told,) = log.records
    assert (told.first_milliseconds, told.status) == (500, "completed")


async def _calls(portal: TestPortal) -> dict[str, int]:
    rows = await used(portal.portal.storage, portal.owner)
    return {row["model"]: row["calls"] for row in rows}


async def test_a_bounded_key_is_bounded_here(portal: TestPortal) -> None:
    async def tried(**bounds: Any) -> list[int]:
        _, key = await portal.portal.credentials.create_key(portal.owner, str(bounds), terms=Terms(**bounds))
        said = {"model": "espeak-ng", "input": "One."}
        heard = {"data": {"model": "whisper-1"}, "files": {"file": ("a.wav", spoken("One."))}}
        async with httpx.AsyncClient(base_url=portal.url, headers={"Authorization": f"Bearer {key}"}) as client:
            asked = [
                await client.post("/v1/audio/speech", json=said),
                await client.post("/v1/audio/speech", json={**said, "stream_format": "sse"}),
                await client.post("/v1/audio/transcriptions", **heard),  # type: ignore[arg-type]
                await client.post("/v1/audio/translations", **heard),  # type: ignore[arg-type]
            ]
            listed = {one["id"] for one in (await client.get("/v1/models")).json()["data"]}
        return [*(one.status_code for one in asked), "espeak-ng" in listed]

    assert await tried(scopes=("models:other",)) == [403, 403, 403, 403, False]
    assert await tried(scopes=("workspaces:auto",)) == [403, 403, 403, 403, False]
    assert await tried(scopes=("models:espeak*",)) == [200, 200, 403, 403, True]
    assert await tried(scopes=("read-only",)) == [403, 403, 403, 403, True]
    assert await tried(requests=1) == [200, 429, 429, 429, True]
