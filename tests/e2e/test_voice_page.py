"""Microphone, reading aloud and hands-free talk, in a Chromium whose microphone hears espeak-ng."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright
from tests.e2e.browser import CHROMIUM, FLAGS, Visit, composer, expect, in_browser_loop, open_visit, violations

from portal.backends.scripted import ScriptedBackend
from portal.core.model import TextDelta
from portal.testing.scripted_speech import ScriptedTranscriber

pytestmark = in_browser_loop

WITH_MICROPHONE = next(filter(Path.exists, [Path("/usr/bin/chromium")]), CHROMIUM)
"""The headless shell takes no sound from a file."""
SAID = "Good morning Portal, what is the weather like today?"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def listening() -> AsyncIterator[Browser]:
    """A browser with a microphone: two seconds of silence, a sentence, three of silence, again and again."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "said.wav")
        await asyncio.to_thread(_record, sound)
        media = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={sound}")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=WITH_MICROPHONE, args=[*FLAGS, *media])
            yield browser
            await browser.close()


def _record(path: Path) -> None:
    spoken = subprocess.run(["espeak-ng", "--stdout", SAID], capture_output=True, check=True).stdout
    padded = ["-af", "adelay=2000,apad=pad_dur=3,volume=2", "-ar", "48000", "-f", "wav", "-y", str(path)]
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", "pipe:0", *padded], input=spoken, check=True)


def _loudness(recording: bytes) -> float:
    """The peak of what the page has recorded, as ffmpeg hears it, in dB below full."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(recording)
        file.flush()
        asked = ["ffmpeg", "-hide_banner", "-i", file.name, "-af", "volumedetect", "-f", "null", "-"]
        told = subprocess.run(asked, capture_output=True, check=True, text=True).stderr
    return float(told.split("max_volume: ")[1].split(" dB")[0])


async def _spoken(page: Page) -> None:
    """Until the page has heard somebody speak: its meter moves."""
    await page.wait_for_function(
        "() => { const at = document.querySelector('.talk-meter')?.style.transform;"
        " return at && Number.parseFloat(at.slice(6)) > 0.5 }"
    )


async def _watch(page: Page) -> None:
    """Count the sounds that are played, in place of hearing them."""
    await page.evaluate(
        "() => { window.played = []; const play = HTMLMediaElement.prototype.play;"
        " HTMLMediaElement.prototype.play = function () { window.played.push(this); return play.call(this); }; }"
    )


async def test_what_is_said_comes_into_the_composer(listening: Browser, tmp_path: Path) -> None:
    ears = ScriptedTranscriber("what is the weather like?")
    async with open_visit(listening, tmp_path, transcriber=ears, permissions=["microphone"]) as visit:
        page = visit.page
        await composer(page).fill("Good morning,")
        await page.get_by_role("button", name="Speak", exact=True).click()
        await expect(page.get_by_text("Listening. Press Done")).to_be_visible()
        assert await violations(page) == []
        await _spoken(page)
        await page.get_by_role("button", name="Done", exact=True).click()
        await expect(composer(page)).to_have_value("Good morning, what is the weather like?")
        await expect(page.get_by_role("group", name="Speaking")).to_have_count(0)
        ((name, recording),) = ears.recordings
        assert name == "recording.webm"
        assert _loudness(recording) > -30


async def test_a_microphone_that_is_refused_and_an_engine_that_is_missing(listening: Browser, tmp_path: Path) -> None:
    async with open_visit(listening, tmp_path, permissions=[]) as visit:
        await visit.page.get_by_role("button", name="Speak", exact=True).click()
        await expect(visit.page.get_by_text("does not let this page use the microphone")).to_be_visible()
        await visit.context.grant_permissions(["microphone"])
        await visit.page.get_by_role("button", name="Speak", exact=True).click()
        await visit.page.get_by_role("button", name="Done", exact=True).click()
        await expect(visit.page.get_by_text("Nothing here can write down speech")).to_be_visible()
        await expect(visit.page.get_by_role("group", name="Speaking")).to_have_count(0)


async def test_an_answer_is_read_sentence_by_sentence_while_it_is_written(listening: Browser, tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    gate = asyncio.Event()
    async with open_visit(listening, tmp_path, backend=backend) as visit:
        page = visit.page
        await _watch(page)
        backend.script(TextDelta("First sentence. "), gate, TextDelta("Second one."))
        await visit.ask("Tell me")
        async with page.expect_response("**/v1/audio/speech") as spoken:
            await page.get_by_role("button", name="Read aloud").click()
        first = await spoken.value
        assert first.request.post_data_json["input"] == "First sentence."
        assert first.headers["content-type"] == "audio/wav"
        async with page.expect_response("**/v1/audio/speech") as spoken:
            gate.set()
        assert (await spoken.value).request.post_data_json["input"] == "Second one."
        await page.wait_for_function("() => window.played.length === 2")
        await expect(page.get_by_role("button", name="Read aloud")).to_be_visible()  # it has come to its end
        await page.get_by_role("button", name="Read aloud").click()
        await page.get_by_role("button", name="Stop reading").click()
        await page.wait_for_function("() => window.played.every((each) => each.paused)")
        assert await violations(page) == []


async def test_hands_free_sends_reads_and_lets_itself_be_interrupted(listening: Browser, tmp_path: Path) -> None:
    ears = ScriptedTranscriber("what is the weather like?")
    backend = ScriptedBackend(models=["tiny"])
    backend.answer("It rains. " * 200)
    async with open_visit(listening, tmp_path, backend=backend, transcriber=ears, permissions=["microphone"]) as visit:
        page: Page = visit.page
        await _watch(page)
        await page.get_by_role("button", name="Speak", exact=True).click()
        await page.get_by_role("button", name="Hands-free").click()
        await page.wait_for_function("() => location.pathname.startsWith('/c/')", polling=200)
        await expect(page.get_by_role("main").get_by_text("what is the weather like?").last).to_be_visible()
        await expect(page.get_by_text("Reading aloud. Speak to interrupt.")).to_be_visible()
        await page.wait_for_function("() => window.played.length >= 1")
        await expect(page.get_by_text("Listening. Pause to send.")).to_be_visible()  # the fake voice spoke again
        await page.wait_for_function("() => window.played.every((each) => each.paused)")
        await _leave(visit)
        assert len(ears.recordings) >= 1


async def _leave(visit: Visit) -> None:
    await visit.page.get_by_role("button", name="Close the microphone").click()
    await expect(visit.page.get_by_role("group", name="Speaking")).to_have_count(0)
