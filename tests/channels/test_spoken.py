"""Who speaks is answered with a voice message, where the setting says so; espeak-ng and ffmpeg for real."""

from pathlib import Path

import pytest

from portal.channels.spoken import as_spoken
from portal.core.channels import Attachment
from portal.testing.scripted_speech import ScriptedTranscriber

from .conftest import Chat, open_chat

VOICE = Attachment(ref="v", kind="audio", name="v.ogg", content_type="audio/ogg", voice=True)


async def test_who_speaks_hears_the_answer_and_who_writes_reads_it(tmp_path: Path) -> None:
    ears = ScriptedTranscriber("Good morning")
    async with open_chat(tmp_path, transcriber=ears, settings={"speech": {"replies": "voice"}}) as chat:
        await chat.link()
        chat.platform.files = {"v": b"sound"}
        chat.write("Hello")
        await chat.until("Hello")
        chat.write("", files=(VOICE,))
        await chat.platform.until(lambda: bool(_files(chat)))
        (sound,) = _files(chat)
        assert sound.startswith(b"OggS")
        assert [text for text in chat.texts() if text] == ["Hello", "Good morning"]


def _files(chat: Chat) -> list[bytes]:
    return [bubble.data for bubble in chat.platform.bubbles.values() if bubble.said.file]


async def test_always_and_never(tmp_path: Path) -> None:
    async with open_chat(tmp_path / "a", settings={"speech": {"replies": "always"}}) as chat:
        await chat.link()
        chat.write("Hello")
        await chat.platform.until(lambda: bool(_files(chat)))
    ears = ScriptedTranscriber("Good morning")
    async with open_chat(tmp_path / "b", transcriber=ears) as chat:
        await chat.link()
        chat.platform.files = {"v": b"sound"}
        chat.write("", files=(VOICE,))
        await chat.until("Good morning")
        assert _files(chat) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("**Hello** [you](https://a.b)!", "Hello you!"),
        ("```sh\nls\n```", ""),
        ("- one\n- two", "one\n two"),
        ("A sentence. " * 400, "A sentence. " * 249 + "A sentence."),
        ("x" * 4000, "x" * 3000),
    ],
)
def test_what_is_spoken_of_an_answer(text: str, said: str) -> None:
    assert " ".join(as_spoken(text).split()) == " ".join(said.split())
