"""What Portal adds to a speech server's own time: the same calls to a stand-in, directly and through Portal."""

import argparse
import asyncio
import io
import tempfile
import wave
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.testing.audio_server import AudioServer
from portal.testing.portal import open_test_portal

WARM = 5


def recording(seconds: int = 5) -> bytes:
    """A WAV of a quiet hum."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(b"\0\1" * 16_000 * seconds)
    return held.getvalue()


async def listen(client: httpx.AsyncClient, base: str, headers: dict[str, str], sound: bytes) -> None:
    fields = {"model": "whisper-1", "response_format": "verbose_json"}
    files = {"file": ("a.wav", sound)}
    (await client.post(f"{base}/v1/audio/transcriptions", headers=headers, data=fields, files=files)).raise_for_status()


async def speak(client: httpx.AsyncClient, base: str, headers: dict[str, str], sound: bytes) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "wav"}
    (await client.post(f"{base}/v1/audio/speech", headers=headers, json=body)).raise_for_status()


async def main(calls: int) -> None:
    """Print the medians of both ways, call by call in turn."""
    sound = recording()
    async with AudioServer() as server, httpx.AsyncClient() as client:
        backend = OpenAICompatible(Config(url=server.url, name="sounds"))
        async with open_test_portal(Path(tempfile.mkdtemp()) / "data", backends=[backend]) as portal:
            for name, work in (("transcription", listen), ("speech", speak)):
                times: dict[str, list[float]] = {"directly": [], "through Portal": []}
                for _ in range(calls + WARM):
                    for way, base, headers in (
                        ("directly", server.url, {}),
                        ("through Portal", portal.url, portal.headers),
                    ):
                        began = perf_counter()
                        await work(client, base, headers, sound)
                        times[way].append((perf_counter() - began) * 1000)
                own, all_of_it = (median(each[WARM:]) for each in times.values())
                print(
                    f"{name}: {own:.1f} ms directly, {all_of_it:.1f} ms through Portal: {all_of_it - own:.1f} ms added"
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    asyncio.run(main(parser.parse_args().calls))
