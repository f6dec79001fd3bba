"""A long recording over the API: it is heard piece by piece, and never is much of it in memory."""

import asyncio
import json
import math
import subprocess
import tracemalloc
import wave
from array import array
from pathlib import Path

import openai
import pytest

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.testing.audio_server import AudioServer
from portal.testing.portal import open_test_portal

RATE = 8000
SECONDS = 1200
TURN = 600
HEARD = 20
"""There is something to hear for so many seconds of every TURN."""
SAMPLES = SECONDS * 16_000 * 2
"""Bytes of all of it, as engines hear it."""


def _recorded(folder: Path) -> Path:
    """In a container that no server takes as it is, so that it is decoded."""
    one, whole = folder / "turn.wav", folder / "talk.mka"
    with wave.open(str(one), "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))
        tone = array("h", [round(9000 * math.sin(math.tau * 220 * at / RATE)) for at in range(RATE)]).tobytes()
        sound.writeframes(tone * HEARD + bytes(2 * RATE * (TURN - HEARD)))
    repeat = ["-stream_loop", str(SECONDS // TURN - 1), "-i", str(one)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *repeat, "-c:a", "flac", str(whole)], check=True)
    return whole


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_long_recording(tmp_path: Path) -> None:
    recording = await asyncio.to_thread(_recorded, tmp_path)
    async with AudioServer(models=["whisper-1"]) as server:
        backend = OpenAICompatible(Config(url=server.url, name="sounds"))
        async with (
            open_test_portal(tmp_path / "data", backends=[backend]) as portal,
            openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as client,
        ):
            tracemalloc.start()
            asked = client.audio.transcriptions.with_streaming_response.create(
                model="whisper-1", file=recording, stream=True, extra_query={"portal_events": "1"}, timeout=250
            )
            async with asked as streamed:
                lines = [json.loads(line[6:]) async for line in streamed.iter_lines() if line.startswith("data: ")]
            held = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert lines[-1]["type"] == "transcript.text.done"
    assert lines[-1]["usage"]["seconds"] == pytest.approx(SECONDS, abs=2)
    steps = [line["seconds"] for line in lines if line["type"] == "portal:transcript.progress"]
    assert steps == sorted(steps)
    assert len(steps) > SECONDS / 60
    assert sum(one.seconds for one in server.uploads) < SECONDS / 10  # silence is nobody's to hear
    assert held < SAMPLES / 2
