"""A recording of two hours over the API: it is heard piece by piece, and takes no more memory than a short one."""

import asyncio
import json
import resource
import subprocess
from pathlib import Path

import openai
import pytest

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.testing.audio_server import AudioServer
from portal.testing.portal import open_test_portal

SECONDS = 7200
SOUND = f"aevalsrc='if(lt(mod(t,600),20),0.5*sin(2*PI*220*t),0)':s=8000:d={SECONDS}"
"""Something to hear for 20 seconds of every ten minutes."""
SAMPLES = SECONDS * 16_000 * 2
"""Bytes of all of it, as engines hear it."""


@pytest.mark.slow
async def test_two_hours_of_sound(tmp_path: Path) -> None:
    recording = tmp_path / "talk.mka"
    make = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", SOUND, "-c:a", "flac", str(recording)]
    await asyncio.to_thread(subprocess.run, make, check=True)
    async with AudioServer(models=["whisper-1"]) as server:
        backend = OpenAICompatible(Config(url=server.url, name="sounds"))
        async with (
            open_test_portal(tmp_path / "data", backends=[backend]) as portal,
            openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0) as client,
        ):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            asked = client.audio.transcriptions.with_streaming_response.create(
                model="whisper-1", file=recording, stream=True, extra_query={"portal_events": "1"}, timeout=250
            )
            async with asked as streamed:
                lines = [json.loads(line[6:]) async for line in streamed.iter_lines() if line.startswith("data: ")]
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert lines[-1]["type"] == "transcript.text.done"
    assert lines[-1]["usage"]["seconds"] == pytest.approx(SECONDS, abs=2)
    steps = [line["seconds"] for line in lines if line["type"] == "portal:transcript.progress"]
    assert steps == sorted(steps)
    assert len(steps) > 100
    assert sum(one.seconds for one in server.uploads) < SECONDS / 10  # silence is nobody's to hear
    assert grown < SAMPLES / 4
