"""Each engine behind its port: real libraries and programs where there are any, strict stand-ins elsewhere."""

import asyncio
import io
import stat
import sys
import threading
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from portal.app.speech import open_speech, readiness
from portal.core.speech import Heard, Listening, Speech, Utterance, Word, whole
from portal.errors import BackendError, BadRequest, ModelNotFound, NoModel, PortalError, SettingsError
from portal.routing.registry import Registry
from portal.settings import Settings, load_settings
from portal.speech.threads import in_thread
from portal.testing.audio_server import AudioServer

from .conftest import Make
from .whisper import SAID, make_model

PIPER = '''#!{python}
"""Piper's program as this needs it: raw samples of a tenth of a second a line, or a complaint."""
import sys, argparse
parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--output_raw", action="store_true", required=True)
parser.add_argument("--length_scale", type=float, default=1.0)
asked = parser.parse_args()
open(asked.model)
for line in sys.stdin:
    if line.strip() == "Fail.":
        sys.exit("the voice is broken")
    sys.stdout.buffer.write(b"\\1\\0" * int(1600 * asked.length_scale))
    sys.stdout.flush()
'''


def settings(tmp_path: Path, *engines: dict[str, Any], **more: Any) -> Settings:
    return load_settings({"data_dir": tmp_path / "data", "speech": {"engines": engines, **more}})


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def opened(chosen: Settings, stack: AsyncExitStack) -> Speech:
    registry = Registry(settings=chosen)
    stack.push_async_callback(registry.aclose)
    return open_speech(chosen, registry, stack)  # type: ignore[arg-type]


async def sound(speech: Speech, **said: Any) -> bytes:
    async with aclosing(speech.speaker.speak(Utterance(**{"format": "wav", **said}))) as pieces:
        return b"".join([piece async for piece in pieces])


# ---------------------------------------------------------------------- faster-whisper


async def test_faster_whisper_with_a_model_that_has_one_thing_to_say(
    tmp_path: Path, spoken: Make, stack: AsyncExitStack
) -> None:
    make_model(tmp_path / "data" / "speech" / "tiny")
    speech = await opened(settings(tmp_path), stack)
    assert [model.id for model in speech.transcriber.models()] == ["faster-whisper-tiny"]
    film = spoken("This is a longer sentence to be heard.", "film.mp4", "-c:a", "aac")
    made = await whole(speech.transcriber.transcribe(film, Listening()))
    assert (made.text, made.language) == (SAID, "en")
    assert made.duration == pytest.approx(2.1, abs=0.3)
    assert made.segments[0].start == 0
    silence = spoken("x", "silence.wav", "-af", "volume=0")
    assert (await whole(speech.transcriber.transcribe(silence, Listening()))).text == ""
    assert {name: ready for name, ready, _ in readiness(settings(tmp_path))}["Transcription"]


async def test_faster_whisper_says_how_to_get_its_model(tmp_path: Path, spoken: Make, stack: AsyncExitStack) -> None:
    there = str(make_model(tmp_path / "elsewhere" / "mine"))
    named = {"kind": "faster_whisper", "model": there, "name": "own", "device": "cpu"}
    speech = await opened(settings(tmp_path, {"kind": "faster_whisper", "model": "small"}, named), stack)
    said = spoken("Hello.", "hello.ogg")
    with pytest.raises(NoModel, match="hf download Systran/faster-whisper-small --local-dir"):
        await whole(speech.transcriber.transcribe(said, Listening()))
    assert (await whole(speech.transcriber.transcribe(said, Listening(model="faster-whisper-mine")))).text == SAID


async def test_a_call_that_is_given_up_stops(tmp_path: Path, spoken: Make, stack: AsyncExitStack) -> None:
    make_model(tmp_path / "data" / "speech" / "tiny")
    speech = await opened(settings(tmp_path), stack)
    long = spoken("A sentence that goes on. " * 60, "long.flac")
    async with aclosing(speech.transcriber.transcribe(long, Listening())) as hearing:
        first = await anext(hearing)
    assert isinstance(first, Heard)
    assert 0 < first.seconds < first.duration
    again = await whole(speech.transcriber.transcribe(spoken("Hello.", "short.wav"), Listening()))
    assert again.text == SAID


# ---------------------------------------------------------------------- whisper.cpp


async def test_whisper_cpp(tmp_path: Path, spoken: Make, stack: AsyncExitStack) -> None:
    asked: list[dict[str, Any]] = []

    async def inference(request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        with wave.open(io.BytesIO(file.file.read())) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
        asked.append({name: value for name, value in form.items() if name != "file"})
        if len(asked) == 2:
            return web.json_response({"error": "failed to process audio"}, status=400)
        rows = [
            {"start": 0.0, "end": 1.5, "text": " Hello there.", "words": _tokens(" Hel", "lo", " there", ".")},
            {"start": 1.5, "end": 2.0, "text": " Bye.", "words": [{"word": " Bye", "probability": 0.9}]},
        ]
        return web.json_response({"task": "transcribe", "language": "english", "text": "", "segments": rows})

    url = await _serve(stack, web.post("/inference", inference))
    speech = await opened(settings(tmp_path, {"kind": "whisper_cpp", "url": url}, language="en"), stack)
    said = spoken("Hello there. Bye.", "said.mp3")
    made = await whole(speech.transcriber.transcribe(said, Listening(prompt="Portal", translate=True)))
    assert made.text == "Hello there. Bye."
    assert made.segments[0].words == [Word("Hello", 0.0, 1.0), Word("there.", 1.0, 2.0)]
    assert made.segments[1].words == []  # an older server, or one that is told not to reckon times
    assert asked[0] == {
        "response_format": "verbose_json",
        "temperature": "0",
        "language": "en",
        "translate": "true",
        "no_language_probabilities": "true",
        "prompt": "Portal",
    }
    with pytest.raises(BackendError, match="failed to process audio"):
        await whole(speech.transcriber.transcribe(said, Listening(model="whisper.cpp")))


def _tokens(*texts: str) -> list[dict[str, Any]]:
    """As the server tells them: half a second each, under the name of words."""
    return [
        {"word": text, "start": at / 2, "end": (at + 1) / 2, "t_dtw": -1, "probability": 0.9}
        for at, text in enumerate(texts)
    ]


async def _serve(stack: AsyncExitStack, *routes: web.AbstractRouteDef) -> str:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


# ---------------------------------------------------------------------- Piper


def _piper(tmp_path: Path) -> dict[str, Any]:
    program = tmp_path / "piper"
    program.write_text(PIPER.format(python=sys.executable), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    voices = tmp_path / "voices"
    voices.mkdir()
    for name in ("de_DE-thorsten-low", "en_US-amy-medium"):
        (voices / f"{name}.onnx").write_bytes(b"weights")
    (voices / "en_US-amy-medium.onnx.json").write_text('{"audio": {"sample_rate": 16000}}', encoding="utf-8")
    return {"kind": "piper", "program": str(program), "folder": str(voices)}


async def test_piper_as_a_program(tmp_path: Path, stack: AsyncExitStack) -> None:
    speech = await opened(settings(tmp_path, _piper(tmp_path), voice="en_US-amy-medium"), stack)
    assert [(one.id, one.language) for one in await speech.speaker.voices("piper")] == [
        ("de_DE-thorsten-low", "de-de"),
        ("en_US-amy-medium", "en-us"),
    ]
    made = await sound(speech, text="One. Two. Three.", speed=2)
    with wave.open(io.BytesIO(made[:44] + made[44:])) as file:
        assert file.getframerate() == 16000
    assert len(made) == 44 + 3 * 1600
    german = await sound(speech, text="Eins.", language="de")
    assert int.from_bytes(german[24:28], "little") == 22050
    assert (await sound(speech, text="One.", format="mp3", model="piper"))[:1] == b"\xff"
    with pytest.raises(BackendError, match="the voice is broken"):
        await sound(speech, text="One. Fail.")
    (tmp_path / "piper").unlink()
    assert [model.id for model in speech.speaker.models()] == ["espeak-ng"]


async def test_piper_as_a_server(tmp_path: Path, stack: AsyncExitStack) -> None:
    asked: list[dict[str, Any]] = []

    async def voices(request: web.Request) -> web.Response:
        return web.json_response({"en_GB-alba-medium": {}, "fr_FR-siwis-low": {}})

    async def speak(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body)
        if "bad" in body["text"]:
            return web.Response(body=b"no sound at all")
        held = io.BytesIO()
        with wave.open(held, "wb") as file:
            file.setparams((1, 2, 24000, 0, "NONE", ""))
            file.writeframes(b"\1\0" * 2400)
        return web.Response(body=held.getvalue(), content_type="audio/wav")

    url = await _serve(stack, web.get("/voices", voices), web.post("/", speak))
    speech = await opened(settings(tmp_path, {"kind": "piper", "url": url, "name": "p"}), stack)
    made = await sound(speech, text="One. Two.", speed=0.5)
    assert len(made) == 44 + 2 * 4800
    assert int.from_bytes(made[24:28], "little") == 24000
    assert asked == [
        {"text": "One.", "voice": "en_GB-alba-medium", "length_scale": 2.0},
        {"text": "Two.", "voice": "en_GB-alba-medium", "length_scale": 2.0},
    ]
    assert len(await sound(speech, text="One.", format="pcm")) == 4800
    assert (await sound(speech, text="One.", format="flac"))[:4] == b"fLaC"
    with pytest.raises(BackendError, match="no WAV"):
        await sound(speech, text="bad")


# ---------------------------------------------------------------------- what is there, and what is not


async def test_without_ffmpeg(tmp_path: Path, spoken: Make, stack: AsyncExitStack, bare_path: Path) -> None:
    """WAV still goes, and PyAV reads recordings; the message for the rest says what to install."""
    piper = _piper(tmp_path)
    make_model(tmp_path / "data" / "speech" / "tiny")
    speech = await opened(settings(tmp_path, piper), stack)
    assert len(await sound(speech, text="One.")) == 44 + 3200
    with pytest.raises(NoModel, match="ffmpeg is needed"):
        await sound(speech, text="One.", format="mp3")
    (damaged := tmp_path / "damaged.mp3").write_bytes(b"no sound" * 900)
    with pytest.raises(BadRequest, match="damaged"):
        await whole(speech.transcriber.transcribe(damaged, Listening()))
    recording = tmp_path / "one.wav"
    with wave.open(str(recording), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(b"\0\x20\0\x20\0\xe0\0\xe0" * 44100)
    heard = [one async for one in speech.transcriber.transcribe(recording, Listening())]
    assert heard[-1].duration == pytest.approx(2, abs=0.2)


async def test_nothing_at_all(tmp_path: Path, stack: AsyncExitStack, bare_path: Path) -> None:
    speech = await opened(settings(tmp_path), stack)
    assert (speech.speaker.models(), speech.transcriber.models()) == ([], [])
    with pytest.raises(NoModel, match="install espeak-ng"):
        await sound(speech, text="Hello")
    with pytest.raises(ModelNotFound):
        await sound(speech, text="Hello", model="kokoro")
    (there := tmp_path / "a.mp3").write_bytes(b"x")
    with pytest.raises(NoModel, match="hf download"):
        await whole(speech.transcriber.transcribe(there, Listening()))
    told = {name: (ready, words) for name, ready, words in readiness(settings(tmp_path))}
    assert told["Speech"][0] is told["Transcription"][0] is False
    assert told["Reading recordings"] == (True, "ready")  # by PyAV


async def test_nothing_of_a_text_is_cut_off_at_an_odd_character(tmp_path: Path, stack: AsyncExitStack) -> None:
    speech = await opened(settings(tmp_path), stack)
    usual = await sound(speech, text="Hello there and good evening.")
    assert len(await sound(speech, text="Hello\0there and good evening.")) >= len(usual)


async def test_servers_that_are_away(tmp_path: Path, spoken: Make, stack: AsyncExitStack) -> None:
    away = "http://127.0.0.1:9"
    kokoro = {"kind": "openai_compatible", "name": "kokoro", "url": away, "speech": ["k"], "transcription": ["w"]}
    speech = await opened(settings(tmp_path, kokoro), stack)
    with pytest.raises(PortalError, match="cannot be reached"):
        await sound(speech, text="Hello", model="k")
    assert {voice.model for voice in await speech.speaker.voices()} == {"espeak-ng"}
    with pytest.raises(PortalError, match="cannot be reached"):
        await speech.speaker.voices("k")
    with pytest.raises(PortalError, match="cannot be reached"):
        await whole(speech.transcriber.transcribe(spoken("Hello", "a.wav"), Listening(model="w")))


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ({"kind": "parrot"}, "no kind of speech engine"),
        ({"kind": "openai_compatible", "speech": ["x"]}, "needs its `url`"),
        ({"kind": "openai_compatible", "url": "http://127.0.0.1:9"}, "name the models"),
        ({"kind": "whisper_cpp"}, "needs its `url`"),
        ({"kind": "faster_whisper"}, "needs its `model`"),
    ],
)
async def test_engines_that_cannot_be(
    tmp_path: Path, stack: AsyncExitStack, engine: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        await opened(settings(tmp_path, engine), stack)


async def test_an_espeak_of_ones_own_that_does_not_work(tmp_path: Path, stack: AsyncExitStack) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho no voices here >&2\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    engine = {"kind": "espeak_ng", "name": "mine", "program": str(program)}
    speech = await opened(settings(tmp_path, engine), stack)
    with pytest.raises(BackendError, match="no voices here"):
        await sound(speech, text="Hello")


async def test_who_is_given_up_in_the_middle_of_a_step_leaves_no_thread_at_work() -> None:
    begun, go, done = threading.Event(), threading.Event(), threading.Event()

    def steps() -> Iterator[int]:
        begun.set()
        go.wait()
        yield 1

    def work(made: Iterator[int]) -> int:
        found = next(made)
        done.set()
        return found

    made = steps()
    async with asyncio.TaskGroup() as group:
        working = group.create_task(in_thread(work, made))
        await asyncio.to_thread(begun.wait)
        working.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not working.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert done.is_set()
    made.close()  # type: ignore[attr-defined]  # a generator that still runs cannot be closed


# ---------------------------------------------------------------------- imitating a voice

SAMPLE = "data:audio/wav;base64,UklGRg=="


async def test_a_voice_is_imitated_by_the_engine_that_can(tmp_path: Path, stack: AsyncExitStack) -> None:
    server = await stack.enter_async_context(AudioServer(models=["tts-base"], clones=True))
    engine = {"kind": "openai_compatible", "url": server.url, "name": "cloner", "speech": ["tts-base"], "clones": True}
    plain = {"kind": "espeak_ng", "name": "plain"}
    speech = await opened(settings(tmp_path, plain, engine, model="espeak-ng", voice="de"), stack)
    assert (await sound(speech, text="Hello.", sample=SAMPLE, sample_text="Good day.", voice="alloy"))[:4] == b"RIFF"
    assert server.requests[-1].body == {
        "model": "tts-base",
        "input": "Hello.",
        "response_format": "wav",
        "task_type": "Base",
        "ref_audio": SAMPLE,
        "ref_text": "Good day.",
    }
    with pytest.raises(BadRequest, match="plain cannot imitate a voice"):
        await sound(speech, text="Hello.", sample=SAMPLE, model="espeak-ng")


async def test_where_nothing_imitates_voices_it_says_what_would(tmp_path: Path, stack: AsyncExitStack) -> None:
    speech = await opened(settings(tmp_path), stack)
    with pytest.raises(BadRequest, match=r"espeak_ng cannot imitate a voice\. Name a server") as caught:
        await sound(speech, text="Hello.", sample=SAMPLE)
    assert caught.value.code == "voice_cloning_unavailable"
