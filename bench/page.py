"""What the page weighs and how soon it can be used: a cold visit by a signed-in browser, on loopback.

    python bench/page.py [--rounds 5] [--throttle 1]

Bytes are as transferred (gzip), all of a visit in which nothing is typed, with what is fetched ahead. `paint` is the
browser's first contentful paint, `usable` the moment at which the composer takes the keyboard, both by the browser's
own clock in milliseconds from the start of the navigation.
`--throttle 4` slows the CPU fourfold.
Needs playwright and a Chromium: with windows, else the headless shell.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from playwright.async_api import Browser, async_playwright

from calibration import calibration

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
COMPOSER = "main textarea"
SETTLED = 3
"""Seconds after which nothing is fetched ahead any more."""
USABLE = """
new MutationObserver((_, observer) => {
    const composer = document.querySelector("main textarea:not([disabled])");
    if (!composer) return;
    observer.disconnect();
    composer.focus();
    if (document.activeElement === composer) setTimeout(() => { window.usable = performance.now(); });
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
"""When the composer stands and takes the focus, in the task after: what the page was doing before is done."""


@contextmanager
def portal(folder: str, backend: str = "scripted=http://127.0.0.1:1") -> Iterator[str]:
    """The address of a server in a process of its own, with a sign-in token; by default, a model that echoes."""
    command = [sys.executable, "-m", "portal", "up", "--port", "0", "--data-dir", folder]
    server = subprocess.Popen([*command, "--backend", backend], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = (re.search(r"http://\S+/sign-in\?token=\S+", line) for line in server.stdout)
        yield next(link[0] for link in found if link)
    finally:
        server.terminate()
        server.wait(timeout=20)


async def visit(browser: Browser, state: str, url: str, throttle: float) -> dict[str, float]:
    """One cold visit in a context of its own."""
    context = await browser.new_context(
        viewport={"width": 1440, "height": 900}, service_workers="block", storage_state=state
    )
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("Network.enable")
    await devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    await devtools.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    transferred: list[float] = []
    devtools.on("Network.loadingFinished", lambda event: transferred.append(event["encodedDataLength"]))
    await page.add_init_script(USABLE)
    await page.goto(url, wait_until="commit")
    await page.wait_for_selector(f"{COMPOSER}:focus")
    await asyncio.sleep(SETTLED)
    usable = await page.evaluate("window.usable")
    paint = await page.evaluate(PAINT)
    await context.close()
    return {"kB": sum(transferred) / 1000, "requests": len(transferred), "paint_ms": paint, "usable_ms": usable}


async def run(rounds: int, throttle: float) -> None:
    with tempfile.TemporaryDirectory() as folder, portal(f"{folder}/data") as link:
        async with async_playwright() as play:
            chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
            browser = await play.chromium.launch(executable_path=chromium, args=FLAGS)
            first = await browser.new_context(service_workers="block")
            page = await first.new_page()
            await page.goto(link)
            await page.wait_for_selector(COMPOSER)
            state = f"{folder}/state.json"
            await first.storage_state(path=state)
            await first.close()
            loop = calibration() * 1000
            visits = [await visit(browser, state, link.partition("/sign-in")[0], throttle) for _ in range(rounds)]
            await browser.close()
    print(f"calibration loop {loop:.1f} ms, CPU throttled {throttle:g} x, {rounds} visits, medians:")
    for name in visits[0]:
        figure = median(found[name] for found in visits)
        ratio = f"  ({figure / loop:.1f} x calibration)" if name.endswith("_ms") else ""
        print(f"{name:12} {figure:8.1f}{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--throttle", type=float, default=1)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.rounds, arguments.throttle))


if __name__ == "__main__":
    main()
