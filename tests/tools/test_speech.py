"""The tools that speak and write down: espeak-ng and ffmpeg for real, what is heard from a script."""

import base64
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from portal.app.speech import open_speech
from portal.core.speech import Speech
from portal.core.tool_ports import Toolset
from portal.errors import ToolError
from portal.settings import load_settings
from portal.speech.espeak_ng import EspeakNg
from portal.speech.hearing import Listener
from portal.speech.speaking import NOTHING, Speaking
from portal.testing.audio_server import AudioServer
from portal.testing.media_files import wav
from portal.testing.scripted_speech import ScriptedTranscriber
from portal.testing.tool_calls import call
from portal.tools.families import Needs, built_in


def toolsets(tmp_path: Path, speech: Speech | None) -> dict[str, Toolset]:
    settings = load_settings({"data_dir": tmp_path / "data"})
    none = cast(Any, None)
    needs = Needs(settings=settings, sandbox=none, fetcher=none, files=none, speech=speech)
    return {made.name: made for made in built_in(needs, ["speech", "transcription"])}


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, Toolset]:
    speaker = Speaking(engines=lambda: [EspeakNg(name="espeak_ng", program=None)], longest=400)
    ears = ScriptedTranscriber("First words.", "Then others.")
    return toolsets(tmp_path, Speech(speaker=speaker, transcriber=ears))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "conversation").mkdir()
    return made


async def test_a_text_is_spoken_into_a_file(tools: dict[str, Toolset], folder: Path) -> None:
    said = await call(tools["speech"], "speak_text", folder, text="Guten Tag", language="de", save_as="tag.wav")
    (file,) = said.files
    assert (file.name, file.data[:4]) == ("tag.wav", b"RIFF")
    assert int.from_bytes(file.data[40:44], "little") == len(file.data) - 44
    assert (folder / "tag.wav").read_bytes() == file.data
    (folder / "note.txt").write_text("A note.", encoding="utf-8")
    read = await call(tools["speech"], "speak_text", folder, path="note.txt", save_as="note")
    assert (read.files[0].name, read.files[0].content_type) == ("note.mp3", "audio/mpeg")


async def test_what_cannot_be_spoken(tools: dict[str, Toolset], folder: Path) -> None:
    for arguments, words in (
        ({}, "nothing to say"),
        ({"text": "hi", "voice": "en-uz"}, "Did you mean"),
        ({"text": "x" * 500}, "at most 400"),
    ):
        with pytest.raises(ToolError, match=words):
            await call(tools["speech"], "speak_text", folder, **arguments)


async def test_a_voice_is_imitated(tmp_path: Path, folder: Path) -> None:
    """By a server that can; of a recording in a folder that tools may use, and of nothing else."""
    (folder / "me.wav").write_bytes(wav())
    (folder / "note.txt").write_text("Good day.", encoding="utf-8")
    engine = {"kind": "openai_compatible", "speech": ["tts-base"], "clones": True}
    async with AudioServer(models=["tts-base"], clones=True) as server, AsyncExitStack() as stack:
        named = {"data_dir": tmp_path / "data", "speech": {"engines": [{**engine, "url": server.url}]}}
        family = toolsets(tmp_path, open_speech(load_settings(named), None, stack))["speech"]
        given = {"text": "Hello.", "like": "me.wav", "like_text": "Good day.", "save_as": "said.wav"}
        assert (await call(family, "speak_text", folder, **given)).files[0].data[:4] == b"RIFF"
        sent = server.requests[-1].body
        assert base64.b64decode(sent["ref_audio"].removeprefix("data:audio/x-wav;base64,")) == wav()
        assert sent["ref_text"] == "Good day."
        await call(family, "speak_text", folder, text="Hello.", like="me.wav", save_as="said.wav")
        assert "ref_text" not in server.requests[-1].body
        for path, words in (("note.txt", "is a recording"), ("/etc/me.wav", "not in a folder")):
            with pytest.raises(ToolError, match=words):
                await call(family, "speak_text", folder, text="hi", like=path)


async def test_what_is_said_in_the_recording_is_found_out(tmp_path: Path, folder: Path) -> None:
    (folder / "me.wav").write_bytes(wav())
    engine = {"kind": "openai_compatible", "speech": ["tts-base"], "transcription": ["whisper-1"], "clones": True}
    async with AudioServer(models=["tts-base", "whisper-1"], clones=True) as server, AsyncExitStack() as stack:
        named = {"data_dir": tmp_path / "data", "speech": {"engines": [{**engine, "url": server.url}]}}
        family = toolsets(tmp_path, open_speech(load_settings(named), None, stack))["speech"]
        given = {"text": "Hello.", "like": "me.wav", "save_as": "said.wav"}
        server.answer("Good evening.")
        await call(family, "speak_text", folder, **given)
        assert server.requests[-1].body["ref_text"] == "Good evening."


async def test_voices_are_listed(tools: dict[str, Toolset], folder: Path) -> None:
    german = await call(tools["speech"], "list_voices", folder, language="de")
    assert german.text == "de: de, German, of espeak-ng"
    everything = (await call(tools["speech"], "list_voices", folder)).text.splitlines()
    assert everything[0].startswith("en-us:")
    assert everything[-1].startswith("... and ")
    with pytest.raises(ToolError, match="no voice of the language 'tlh'"):
        await call(tools["speech"], "list_voices", folder, language="tlh")


async def test_recordings_are_written_down(tools: dict[str, Toolset], folder: Path) -> None:
    (folder / "talk.mp3").write_bytes(b"sound")
    family = tools["transcription"]
    assert (await call(family, "transcribe_recording", folder, path="talk.mp3")).text == "First words. Then others."
    timed = await call(family, "transcribe_recording", folder, path="talk.mp3", form="timestamps")
    assert timed.text == "[0:00] First words.\n[0:10] Then others."
    subtitles = await call(family, "transcribe_recording", folder, path="talk.mp3", form="srt")
    assert (subtitles.files[0].name, subtitles.text) == ("talk.srt", "Made talk.srt with 2 subtitles.")
    assert b"00:00:10,000 --> 00:00:20,000\nThen others." in subtitles.files[0].data
    vtt = await call(family, "transcribe_recording", folder, path="talk.mp3", form="vtt")
    assert vtt.files[0].data.startswith(b"WEBVTT")


async def test_who_says_what_is_told(tmp_path: Path, folder: Path) -> None:
    (folder / "talk.wav").write_bytes(wav())
    engine = {"kind": "openai_compatible", "transcription": ["whisperx"], "diarizes": True}
    async with AudioServer(models=["whisperx"], diarizes="verbose_json") as server, AsyncExitStack() as stack:
        named = {"data_dir": tmp_path / "data", "speech": {"engines": [{**engine, "url": server.url}]}}
        family = toolsets(tmp_path, open_speech(load_settings(named), None, stack))["transcription"]
        for form, words in (("text", "A: Hello.\nB: Good day."), ("srt", "with 2 subtitles")):
            server.answer("Hello.", "Good day.")
            given = {"path": "talk.wav", "speakers": True, "form": form}
            made = await call(family, "transcribe_recording", folder, **given)
            assert words in made.text
        assert b"B: Good day." in made.files[0].data
        server.answer("Hello.", "Good day.")
        plain = await call(family, "transcribe_recording", folder, path="talk.wav")
        assert plain.text == "Hello. Good day."
        with pytest.raises(ToolError, match="in the language that is spoken only"):
            await call(family, "transcribe_recording", folder, path="talk.wav", speakers=True, translate=True)


async def test_where_nothing_speaks_or_listens(tmp_path: Path, folder: Path) -> None:
    nothing = toolsets(tmp_path, Speech(speaker=Speaking(engines=list), transcriber=Listener(engines=list)))
    (folder / "talk.mp3").write_bytes(b"sound")
    with pytest.raises(ToolError) as caught:
        await call(nothing["speech"], "list_voices", folder)
    assert caught.value.message == NOTHING
    with pytest.raises(ToolError, match="Nothing here can write down speech"):
        await call(nothing["transcription"], "transcribe_recording", folder, path="talk.mp3")
    silent = toolsets(tmp_path, Speech(speaker=Speaking(engines=list), transcriber=ScriptedTranscriber(" ")))
    quiet = await call(silent["transcription"], "transcribe_recording", folder, path="talk.mp3")
    assert quiet.text == "Nothing is said in this recording."
    assert toolsets(tmp_path, None) == {}
