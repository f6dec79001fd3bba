"""Whether the page keeps up: frames that are missed while a long answer of rich Markdown streams into it.

    python bench/streaming.py [--rate 200] [--seconds 10] [--throttle 4]

`missed` counts the frames of 1/60 s in which nothing was drawn, `longest` is the longest time without one, both by the
page's own animation frames; `blocked` is the time in tasks of more than 50 ms. The same is told of the page at rest
just before, under the same throttle: on a busy machine what it misses then is not the page's.
Needs playwright and a Chromium.
"""

import argparse
import asyncio
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from aiohttp import web
from playwright.async_api import async_playwright

from calibration import calibration
from page import COMPOSER, FLAGS, portal

MODEL = "bench-writer"
PART = """
## Part {n}: what a matrix does

A matrix **rotates**, *stretches* and shears; see [the proof](#part-{n}) and `numpy.linalg.eig`. For a unit vector
$v$ the length of $A v$ is at most $\\sigma_1$, which the table below shows for small cases.

| n | determinant | rank | condition |
|---:|---:|:---:|---|
| 1 | 2.5 | 1 | good |
| 2 | -0.125 | 2 | fair |
| 3 | 1e-9 | 2 | bad |

```python
def power(matrix, vector, rounds=100):
    for _ in range(rounds):
        vector = matrix @ vector
        vector /= numpy.linalg.norm(vector)
    return vector
```

1. Begin with any vector that is not zero.
2. Multiply, and divide by the length.
   - It turns towards the first direction.
   - How fast depends on $\\lambda_2 / \\lambda_1$.
"""
FRAMES = """
window.measure = () => {
    const made = {frames: [performance.now()], blocked: 0, going: true};
    const add = (list) => list.getEntries().forEach((task) => (made.blocked += task.duration));
    const observer = new PerformanceObserver(add);
    observer.observe({type: "longtask"});
    const tick = () => { made.frames.push(performance.now()); if (made.going) requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
    return () => {
        made.going = false;
        observer.disconnect();
        const gaps = made.frames.slice(1).map((at, index) => at - made.frames[index]);
        const missed = gaps.reduce((sum, gap) => sum + Math.max(0, Math.round(gap * 60 / 1000) - 1), 0);
        return {frames: gaps.length, missed, longest_ms: Math.max(...gaps), blocked_ms: made.blocked};
    };
};
"""


def tokens() -> Iterator[str]:
    """Pieces of three or four letters, as models make them, without end."""
    for number in itertools.count(1):
        yield from re.findall(r"\s?\S{1,4}|\s+", PART.format(n=number))


class Writer:
    """A model server in OpenAI's format that writes so many tokens a second."""

    def __init__(self, rate: float, seconds: float) -> None:
        self._rate, self._count = rate, round(rate * seconds)
        self._app = web.Application()
        self._app.router.add_get("/v1/models", self._models)
        self._app.router.add_post("/v1/chat/completions", self._chat)

    async def start(self) -> str:
        runner = web.AppRunner(self._app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        count = self._count if wanted["messages"][-1]["content"] == "Write" else 1
        began = asyncio.get_running_loop().time()
        for number, text in enumerate(itertools.islice(tokens(), count)):
            await asyncio.sleep(began + number / self._rate - asyncio.get_running_loop().time())
            await self._send(answer, {"content": text}, None)
        await self._send(answer, {}, "stop")
        await answer.write(b"data: [DONE]\n\n")
        return answer

    @staticmethod
    async def _send(answer: web.StreamResponse, delta: dict[str, str], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}
        await answer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


async def measured(link: str, seconds: float, throttle: float) -> tuple[Any, Any, int]:
    """The page at rest, the page while it is written into, and the letters that were written."""
    async with async_playwright() as play:
        chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
        browser = await play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(link)
        await page.wait_for_selector(COMPOSER)
        await page.fill(COMPOSER, "Hello")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Copy answer").wait_for()
        await page.evaluate(FRAMES)
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        await page.evaluate("() => void (window.finish = window.measure())")
        await asyncio.sleep(3)
        rest = await page.evaluate("window.finish()")
        await page.fill(COMPOSER, "Write")
        await page.evaluate("() => void (window.finish = window.measure())")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(f"{COMPOSER} ~ * button[type=button].primary")  # it stops the answer
        await page.wait_for_selector(f"{COMPOSER} ~ * button[type=submit]", timeout=seconds * 4000)
        busy = await page.evaluate("window.finish()")
        letters = len(await page.locator(".answer").last.inner_text())
        await browser.close()
    return rest, busy, letters


async def run(rate: float, seconds: float, throttle: float) -> None:
    url = await Writer(rate, seconds).start()
    with tempfile.TemporaryDirectory() as folder:
        server = portal(f"{folder}/data", f"openai_compatible={url}")
        link = await asyncio.to_thread(server.__enter__)
        loop = calibration() * 1000
        try:
            rest, busy, letters = await measured(link, seconds, throttle)
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
    print(f"calibration loop {loop:.1f} ms, CPU throttled {throttle:g} x, {rate:g} tokens/s for {seconds:g} s:")
    for name, found in (("at rest", rest), ("streaming", busy)):
        share = 100 * found["missed"] / (found["missed"] + found["frames"])
        print(
            f"{name:10} {found['frames']:5} frames, {found['missed']:4} missed ({share:.1f} %), "
            f"longest {found['longest_ms']:.0f} ms, blocked {found['blocked_ms']:.0f} ms"
        )
    print(f"{letters} letters shown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--throttle", type=float, default=4)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.rate, arguments.seconds, arguments.throttle))


if __name__ == "__main__":
    main()
