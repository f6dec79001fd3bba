"""The pictures of docs/telegram.md and docs/slack.md: `python -m tests.e2e.chat_pictures [FOLDER]`.

A real Portal talks with the stand-ins of both platforms. What stands in their chats is drawn, also what the Home tab
holds; the page is shown as it is. FOLDER: docs/pictures.
"""

import argparse
import asyncio
import base64
import html
import io
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser
from tests.e2e.browser import Visit, expect, open_chromium, open_visit
from tests.e2e.screenshots import settle
from tests.e2e.tool_desk import calls
from tests.interfaces.slack.conftest import channel as slack_channel
from tests.interfaces.telegram.conftest import made_channel, until

from portal.backends.scripted import ScriptedBackend
from portal.core.channels import Channel
from portal.core.model import ModelInfo, TextDelta
from portal.interfaces.slack.manifest import manifest
from portal.testing.slack_server import SlackServer
from portal.testing.slack_server_world import BOT_USER
from portal.testing.telegram_people import TelegramPerson, buttons, words
from portal.testing.telegram_server import TelegramServer

DOCS = Path(__file__).parents[2] / "docs" / "pictures"
MODEL = ModelInfo(
    id="qwen3:8b", backend="", capabilities=frozenset({"chat", "tools"}), context_window=40_960, size=5_230_000_000
)
HEAT = "A heat pump **moves** heat instead of making it: one part of electricity moves three to five parts of heat."
CALL = ("write_file", '{"path": "heat-pump.md", "text": "One part moves three to five."}')
STYLE = """
body { margin: 0; background: #e9edf1; font: 15px/1.45 system-ui, sans-serif; color: #16181d; }
main { box-sizing: border-box; width: 460px; padding: 16px; display: flex; flex-direction: column; gap: 8px; }
h1 { font-size: 15px; margin: 0 0 4px; }
.said { max-width: 84%; padding: 8px 12px; border-radius: 12px; background: #fff; align-self: flex-start; }
.mine { align-self: flex-end; background: #dceaff; }
.said b.who { display: block; font-size: 13px; }
.said p { margin: 0 0 6px; } .said p:last-child { margin: 0; }
pre { margin: 6px 0; padding: 6px 8px; background: #f1f3f6; border-radius: 6px; white-space: pre-wrap; }
pre, code { font-size: 13px; }
.row { display: flex; gap: 6px; margin-top: 8px; }
.row span { flex: 1; text-align: center; padding: 5px 10px; border: 1px solid #aab4c2; border-radius: 8px; }
.row span, .file { font-size: 14px; }
img { display: block; width: 200px; border-radius: 8px; }
.file { padding: 6px 10px; border: 1px solid #c9d0da; border-radius: 8px; }
"""


def drawn(title: str, bubbles: Sequence[str]) -> str:
    """A chat as a document."""
    body = "".join(bubbles)
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><main><h1>{html.escape(title)}</h1>{body}</main>"


def bubble(text: str, *, mine: bool, rows: Sequence[Sequence[str]] = (), more: str = "", who: str = "") -> str:
    pressed = "".join(
        f"<div class=row>{''.join(f'<span>{html.escape(one)}</span>' for one in row)}</div>" for row in rows
    )
    name = f"<b class=who>{html.escape(who)}</b>" if who else ""
    return f'<div class="said {"mine" if mine else ""}">{name}{more}{marked(text)}{pressed}</div>'


def marked(text: str) -> str:
    """The little Markdown that Portal's own words have."""
    made: list[str] = []
    for at, part in enumerate(text.replace("\u2705", "\u2714").split("```")):
        safe = html.escape(part.removeprefix("json\n") if at % 2 else part).strip("\n")
        if at % 2:
            made.append(f"<pre>{safe}</pre>")
            continue
        safe = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", re.sub(r"`(.+?)`", r"<code>\1</code>", safe))
        made += [f"<p>{line.replace(chr(10), '<br>')}</p>" for line in safe.split("\n\n") if line.strip()]
    return "".join(made)


# ---------------------------------------------------------------------- Telegram


def entities(message: dict[str, Any]) -> str:
    """A message's text with its entities as Markdown."""
    marks = {"bold": ("**", "**"), "code": ("`", "`"), "pre": ("```json\n", "```")}
    units = words(message).encode("utf-16-le")
    cuts: list[tuple[int, int, str]] = []
    for order, one in enumerate(message.get("entities") or message.get("caption_entities") or ()):
        if one["type"] in marks:
            begin, end = marks[one["type"]]
            cuts += [(one["offset"], order, begin), (one["offset"] + one["length"], -order, end)]
    for offset, _, mark in sorted(cuts, reverse=True):
        units = units[: 2 * offset] + mark.encode("utf-16-le") + units[2 * offset :]
    return units.decode("utf-16-le")


def telegram_bubbles(telegram: TelegramServer, alice: TelegramPerson) -> Iterator[str]:
    for message in alice.chat.messages.values():
        keyboard = (message.get("reply_markup") or {}).get("inline_keyboard") or []
        more = ""
        if "photo" in message:
            content = telegram.world.files[message["photo"][-1]["file_id"]].content
            more = f'<img alt="" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
        elif "document" in message:
            more = f"<div class=file>{html.escape(message['document']['file_name'])}</div>"
        rows = [[one["text"] for one in row] for row in keyboard]
        yield bubble(entities(message), mine=not message["from"]["is_bot"], rows=rows, more=more)


async def telegram_pictures(browser: Browser, folder: Path) -> None:
    async with TelegramServer(limits=False) as telegram, opened(browser, made_channel(telegram)) as visit:
        alice = telegram.person("Alice")
        await until(lambda: visit.portal.portal.channels.invitations("x"))
        alice.write("/start")
        await alice.reads("I do not know you yet")
        code = (await visit.post("/portal/v1/channels/codes", {}))["code"]
        alice.write(f"/link {code}")
        await alice.reads("You are linked")
        visit.backend.script(TextDelta(HEAT))
        alice.write("How does a heat pump work?")
        await ready(alice, "moves")
        await draw(browser, folder / "telegram-first.png", "Telegram · Portal", telegram_bubbles(telegram, alice))
        await visit.page.goto(visit.portal.url + "/settings/channels")
        await visit.page.get_by_role("button", name="Make a code").click()
        await expect(visit.page.get_by_role("img", name=re.compile("QR"))).to_be_visible()
        await show(visit, folder / "channels.png", (1000, 880))
        for message in list(alice.chat.messages.values()):
            alice.delete(message)
        visit.backend.script(*calls(CALL))
        alice.write("Write that down in heat-pump.md")
        await alice.reads("Allow write_file?")
        asked = list(telegram_bubbles(telegram, alice))
        visit.backend.script(TextDelta("I have written it down in heat-pump.md."))
        alice.press("Allow")
        await ready(alice, "I have written")
        await alice.reads(lambda message: "document" in message)
        visit.backend.script(*calls(("make_qr", '{"text": "https://example.org"}')))
        visit.backend.script(TextDelta("Here is the code."))
        alice.write("Make a QR code of https://example.org")
        await alice.reads(lambda message: "photo" in message)
        await draw(
            browser,
            folder / "telegram-tools.png",
            "Telegram · Portal",
            [*asked, *telegram_bubbles(telegram, alice)][:2],
        )
        await draw(browser, folder / "telegram-files.png", "Telegram · Portal", telegram_bubbles(telegram, alice))
        await visit.page.goto(visit.portal.url)
        await visit.page.get_by_role("link", name="How does a heat pump work?").click()
        await expect(visit.page.get_by_text("Here is the code.").first).to_be_visible()
        await show(visit, folder / "telegram-chat.png", (1000, 860))


async def ready(alice: TelegramPerson, text: str) -> None:
    """The whole answer is there."""
    await alice.reads(lambda message: text in words(message) and any(one["text"] == "↻" for one in buttons(message)))


# ---------------------------------------------------------------------- Slack


def slack_bubbles(server: SlackServer, messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        mine = not message.get("bot_id")
        blocks = message.get("blocks") or ()
        texts = [
            one["text"] if isinstance(one["text"], str) else one["text"]["text"] for one in blocks if "text" in one
        ]
        rows = [[one["text"]["text"] for one in block["elements"]] for block in blocks if block["type"] == "actions"]
        files = "".join(f"<div class=file>{html.escape(one['name'])}</div>" for one in message.get("files") or ())
        text = "\n\n".join(texts) or str(message.get("text", ""))
        text = re.sub(r"(?<![*\w])\*([^*\n]+)\*(?![*\w])", r"**\1**", text.replace(f"<@{BOT_USER}>", "@Portal"))
        yield bubble(text, mine=mine, rows=rows, more=files, who="Alice" if mine else "Portal")


async def slack_pictures(browser: Browser, folder: Path) -> None:
    async with SlackServer(post_interval=0) as server:
        server.install(manifest())
        server.limited = False
        server.world.add_person("U1", "Alice")
        server.world.add_channel("C1", "U1")
        room = server.world.direct("U1").id
        async with opened(browser, slack_channel(server)) as visit:
            await server.wait(lambda: server.sockets, 60)
            await visit.page.goto(visit.portal.url + "/settings/channels")
            server.direct("U1", "Hello")
            await expect(visit.page.get_by_role("button", name="Let in Alice")).to_be_visible()
            await visit.page.get_by_role("button", name="Make a code").click()
            await show(visit, folder / "slack-pairing.png", (1000, 640))
            await server.wait(lambda: server.world.spoken(room), 60)
            code = (await visit.post("/portal/v1/channels/codes", {}))["code"]
            await server.command("U1", room, "/portal", f"link {code}")
            await server.wait(lambda: len(server.world.spoken(room)) == 2, 60)
            visit.backend.script(TextDelta(HEAT))
            server.direct("U1", "How does a heat pump work?")
            await server.wait(lambda: "moves" in server.world.spoken(room)[-1], 60)
            await draw(
                browser,
                folder / "slack-first.png",
                "Slack · Portal",
                slack_bubbles(server, server.world.messages(room)),
            )
            visit.backend.script(*calls(CALL))
            ask = server.mention("U1", "C1", "write down in heat-pump.md how it works")
            await server.wait(lambda: any("Allow" in one for one in server.world.spoken("C1", ask)), 60)
            await draw(
                browser,
                folder / "slack-thread.png",
                "Slack · #general · Thread",
                slack_bubbles(server, server.world.messages("C1", ask)),
            )
            server.open_home("U1")
            await server.wait(lambda: "U1" in server.world.homes, 60)
            home = [{"bot_id": "B", "blocks": server.world.homes["U1"]["blocks"]}]
            await draw(browser, folder / "slack-home.png", "Slack · Portal · Home", slack_bubbles(server, home))


# ---------------------------------------------------------------------- both


@asynccontextmanager
async def opened(browser: Browser, channel: Channel) -> AsyncIterator[Visit]:
    with tempfile.TemporaryDirectory() as data:
        backend = ScriptedBackend(name="ollama", models=[MODEL])
        async with open_visit(browser, Path(data), backend=backend, toolsets=None, channels=[channel]) as visit:
            yield visit


async def show(visit: Visit, path: Path, size: tuple[int, int]) -> None:
    """The page as it is now."""
    await visit.page.set_viewport_size({"width": size[0], "height": size[1]})
    await settle(visit.page)
    save(await visit.page.screenshot(), path)


async def draw(browser: Browser, path: Path, title: str, bubbles: Iterator[str] | Sequence[str]) -> None:
    page = await browser.new_page(device_scale_factor=2)
    await page.set_content(drawn(title, list(bubbles)))
    content = await page.locator("main").screenshot()
    await page.close()
    save(content, path)


def save(content: bytes, path: Path) -> None:
    with Image.open(io.BytesIO(content)) as picture:  # few colours say as much at a third of the size
        picture.convert("RGB").quantize(64).save(path, optimize=True)


async def run(folder: Path) -> None:
    """All of them."""
    folder.mkdir(parents=True, exist_ok=True)
    async with open_chromium() as browser:
        await telegram_pictures(browser, folder)
        await slack_pictures(browser, folder)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DOCS)
    asyncio.run(run(parser.parse_args().folder))


if __name__ == "__main__":
    main()
