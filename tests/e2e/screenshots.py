"""Pictures of every view, to be looked at: `python -m tests.e2e.screenshots [FOLDER] [--only NAME]`.

A real Portal with scripted answers; each view at three sizes, light and dark. FOLDER: tests/e2e/screenshots.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
from playwright.async_api import Page
from tests.e2e.browser import MIDDLE, NARROW, WIDE, Visit, composer, expect, open_chromium, open_visit
from tests.e2e.tool_desk import Desk, calls, planned

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.ids import new_id
from portal.core.model import ModelInfo, ModelRequest, Progress, ReasoningDelta, TextDelta
from portal.errors import BackendUnavailable
from portal.testing import records
from portal.tools.tasks import Tasks

SIZES = {"wide": WIDE, "middle": MIDDLE, "narrow": NARROW}
CODE = '''The function groups files by size first, and reads only what could be equal:

```python
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path


def duplicates(folder: Path, *, chunk: int = 1 << 20) -> Iterator[list[Path]]:
    """Yield groups of files under `folder` with the same content, the largest first, one list for each group."""
    by_size: dict[int, list[Path]] = defaultdict(list)
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            by_size[path.stat().st_size].append(path)
    for size, paths in sorted(by_size.items(), reverse=True):
        if size and len(paths) > 1:
            yield from same_content(paths, chunk)  # at most one read of each file
```

It costs one `stat` per file and one read of each file that shares its size with another:

1. Grouping by size is almost free.
2. Hashing is limited by the disk:
   - an SSD reads about 500 MB/s,
   - a hard disk about 150 MB/s.
'''
TABLE = """## SQLite and PostgreSQL

Both are excellent; they answer *different* questions.

| | SQLite | PostgreSQL | When it matters |
|---|---|---|---|
| Setup | None: a file | A server to run and update | On day one |
| Writers | One at a time | Many | From about a hundred writes per second |
| Backup | Copy the file | `pg_dump`, or streaming replication | Always |
| Types | Flexible | Strict and rich (JSONB, ranges, arrays) | Reporting |

> Start with SQLite. Move when you can name the reason.

See [when to use SQLite](https://www.sqlite.org/whentouse.html).
"""
MATH = r"""A heat pump moves heat instead of making it. With $T_h$ the warm and $T_c$ the cold temperature in kelvin,
the best it can do is

$$\mathrm{COP}_{\max} = \frac{T_h}{T_h - T_c}$$

At $T_c = 275\,\mathrm{K}$ and $T_h = 308\,\mathrm{K}$ that is about $9.3$; real machines reach **3 to 5**.
"""
LEASE = """# Lease of the flat in Harbour Street

## Keys and doors

Two sets of keys are handed over. The door code is 4821; it changes every spring, and the caretaker tells it.

## Heating

The heating is set to 20 degrees from October until the end of April, and to 16 degrees during the night. Radiators are
bled once a year, before the first of October, by the tenant.

## Notice

The lease may be ended with three months' notice to the end of a month, in writing.
"""
CITED = """The code is **4821** [1]. It changes every spring, so ask the caretaker if it no longer works [1].

The lease can be ended with three months' notice to the end of a month [1].
"""
ANSWERS = {"duplicate": CODE, "Compare": TABLE, "heat pump": MATH, "door code": CITED}
QUESTIONS = [
    "Write a Python function that finds duplicate files in a folder by content, and explain its cost.",
    "Compare SQLite and PostgreSQL for a small web application.\n\nAs a table, please.",
    "How can a heat pump give more heat than the electricity it uses? With the formula.",
]
MODELS = [
    ModelInfo(
        id="qwen3:8b",
        backend="",
        capabilities=frozenset({"chat", "tools", "thinking"}),
        context_window=40_960,
        parameters=8_190_000_000,
        size=5_230_000_000,
        loaded=True,
    ),
    ModelInfo(
        id="qwen2.5vl:7b",
        backend="",
        capabilities=frozenset({"chat", "vision"}),
        context_window=128_000,
        parameters=8_290_000_000,
        size=5_970_000_000,
    ),
    ModelInfo(id="llama3.3:70b-instruct-q4_K_M", backend="", context_window=131_072, size=42_520_000_000),
]


SHOPPING = (
    ("read_note", '{"path": "list.md"}'),
    ("break_down", "{}"),
    ("draw_chart", "{}"),
    ("write_note", '{"path": "shopping.md", "text": "Milk\\nBread", "pages": 2, "replace": false}'),
    ("ask_user", '{"question": "The small one or the large one?", "choices": ["The small one", "The large one"]}'),
)


def answer(request: ModelRequest) -> Sequence[Step]:
    """By what the question is about; `Slowly` waits for ever, in words."""
    text = str(request.messages[-1].get("content"))
    if "Slowly" in text:
        return [Progress("loading", "ollama is loading qwen3:8b into memory."), asyncio.Event()]
    if "fail" in text:
        return [BackendUnavailable("ollama at http://127.0.0.1:11434 closed the connection while loading qwen3:8b.")]
    if "shopping" in text:
        return calls(*SHOPPING, saying="Let me look at your notes first. ")
    found = next((answer for word, answer in ANSWERS.items() if word in text), "Certainly. " * 12)
    return [ReasoningDelta("What is asked, and what is known already? "), TextDelta(found)]


async def seed(visit: Visit) -> dict[str, str]:
    """Conversations of every kind; their addresses by name."""
    addresses = {}
    await seed_workspaces(visit)
    for title in ("Sourdough in a small oven", "A title that is far too long for any rail", "Packing for Norway"):
        await visit.post("/portal/v1/conversations", {"title": title})
    rich = (await visit.post("/portal/v1/conversations", {"title": "Files, tables and heat"}))["id"]
    for question in QUESTIONS:
        await visit.post("/v1/responses", {"model": "qwen3:8b", "input": question, "conversation": rich})
    addresses["conversation"] = f"/c/{rich}"
    failed = (await visit.post("/portal/v1/conversations", {"title": "A failing server"}))["id"]
    asked = {"model": "qwen3:8b", "input": "Please fail", "conversation": failed, "background": True}
    await visit.post("/v1/responses", asked)
    addresses["failure"] = f"/c/{failed}"
    chosen = (await visit.post("/portal/v1/conversations", {"title": "Left to Portal"}))["id"]
    await visit.post("/v1/responses", {"model": "auto", "input": QUESTIONS[0], "conversation": chosen})
    addresses["chosen"] = f"/c/{chosen}"
    plan = (await visit.post("/portal/v1/conversations", {"title": "A week in figures"}))["id"]
    for script in planned():
        visit.backend.script(*script)
    await visit.post("/v1/responses", {"model": "auto", "input": "Draw the week, then print it.", "conversation": plan})
    addresses["plan"] = f"/c/{plan}"
    asking = (await visit.post("/portal/v1/conversations", {"title": "Bread on the list"}))["id"]
    shopping = {"model": "auto", "input": "What is on my shopping list? Add bread to it.", "conversation": asking}
    await visit.post("/v1/responses", shopping)
    addresses["asking"] = f"/c/{asking}"
    addresses |= await seed_knowledge(visit)
    addresses |= await seed_schedules(visit)
    addresses["long"] = f"/c/{await seed_long(visit)}"
    return addresses


SUPPORT = {
    "title": "Support desk",
    "description": "Answers customers of the shop, politely and briefly.",
    "persona": "letter-writer",
    "instructions": "We sell bicycles. Offer a test ride where it fits.\nNever promise a delivery date.",
    "prefer": ["qwen3:8b", "mistral-small:24b", "llama3*", "@reasoning"],
    "strategy": "balanced",
    "parameters": {"temperature": 0.4},
    "max_output_tokens": 800,
}


async def seed_workspaces(visit: Visit) -> None:
    """One of the person's own, and one that overrides Portal's."""
    async with aiohttp.ClientSession(visit.portal.url, headers=visit.portal.headers, raise_for_status=True) as client:
        await client.put("/portal/v1/workspaces/support", json={**SUPPORT, "users": [visit.portal.owner]})
        await client.put("/portal/v1/workspaces/auto-fast", json={"title": "Fast", "description": "In one sentence."})


TOLD = (
    "I prefer short answers, with the result first",
    "My sister Ann is allergic to nuts",
    "We moved to Bergen in March 2024",
    "The boat is called Petrel and lies in Harbour Street",
    "I am learning Norwegian",
)


async def seed_knowledge(visit: Visit) -> dict[str, str]:
    """Collections with documents that were read and one that was not, memories, and a chat that used both."""
    addresses = {}
    letters = {f"letter-{number:02}.txt": f"Letter {number} about the boat." for number in range(12)}
    flat = {"lease.md": LEASE, **letters, "scan.pdf": "%PDF-1.4"}
    for name, files in {"Flat": flat, "Boat": {"petrel.txt": "The Petrel needs paint."}}.items():
        made = await visit.post("/v1/vector_stores", {"name": name})
        for filename, text in files.items():
            uploaded = await visit.upload(filename, text)
            await visit.post(f"/v1/vector_stores/{made['id']}/files", {"file_id": uploaded["id"]})
        addresses[name] = f"/knowledge/{made['id']}"
        addresses[f"{name} search"] = f"/knowledge/{made['id']}?q=heating+code"
    for text in TOLD:
        await visit.post("/portal/v1/memories", {"text": text})
    cited = (await visit.post("/portal/v1/conversations", {"title": "The lease"}))["id"]
    asked = {"model": "auto", "input": "What is the door code in Harbour Street?", "conversation": cited}
    await visit.post("/v1/responses", asked)
    addresses["cited"] = f"/c/{cited}"
    return addresses


PLANS = (
    {
        "name": "Morning news",
        "prompt": "Summarise my unread news.",
        "when": "every weekday at 8:00",
        "workspace": "auto",
    },
    {"name": "Build server", "prompt": "What does this message mean?", "when": "webhook"},
    {"name": "A name that is far too long for one line of a phone", "prompt": "Say it.", "when": "every 90 minutes"},
    {"name": "Birthday", "prompt": "Remind me of the cake.", "when": "2099-05-04 09:00", "paused": True},
)


async def seed_schedules(visit: Visit) -> dict[str, str]:
    """Of every kind; one has run, and its answer went nowhere but the page."""
    made = [await visit.post("/portal/v1/schedules", {"zone": "Europe/Berlin", **plan}) for plan in PLANS]
    for _ in range(2):
        await visit.post(f"/portal/v1/schedules/{made[0]['id']}/run", {})
    runs = visit.portal.portal.storage.runs
    while any(run.ended_at is None for run in (await runs.list(visit.portal.owner, made[0]["id"])).data):
        await asyncio.sleep(0.05)
    missed = records.schedule_run(
        await visit.portal.portal.storage.schedules.get(visit.portal.owner, made[0]["id"]),
        **{"status": "missed", "cause": "time", "due_at": 1_795_000_000_000_000, "ended_at": 1_795_000_000_000_000},
        error="3 times passed while Portal was off.",
    )
    await runs.add([missed])
    return {"schedule": f"/schedules/{made[0]['id']}", "hook": f"/schedules/{made[1]['id']}"}


async def seed_long(visit: Visit, turns: int = 2500) -> str:
    """A conversation of 5,000 messages, written straight into storage."""
    storage, owner = visit.portal.portal.storage, visit.portal.owner
    record = records.conversation(owner=owner, title="Five thousand messages")
    await storage.conversations.create(record)
    previous = None
    for number in range(turns):
        response = records.response(
            owner=owner, conversation_id=record.id, previous_id=previous, status="completed", id=new_id("resp")
        )
        asked = records.said(f"Question {number + 1}. {QUESTIONS[number % 3]}")
        said = records.answered(f"Answer {number + 1}.\n\n{list(ANSWERS.values())[number % 3]}")
        await storage.turn_log.begin(response, [asked])
        await storage.turn_log.finish(response, [records.output(response.id, said)])
        previous = response.id
    return record.id


QUIET = """() => new Promise((resolve) => {
    let timer = setTimeout(resolve, 400);
    new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(resolve, 400); })
        .observe(document.body, {subtree: true, childList: true, attributes: true});
    setTimeout(resolve, 5000);
})"""


async def settle(page: Page) -> None:
    """Until the page has stopped changing."""
    await expect(page.locator(".shell:not(.boot)")).to_be_visible()
    await page.evaluate(QUIET)


async def nothing(page: Page) -> None:
    """The view as it opens."""


async def top(page: Page) -> None:
    await page.locator(".turns").evaluate("element => element.scrollTo(0, 0)")


async def middle(page: Page) -> None:
    await page.locator(".turns").evaluate("element => element.scrollTo(0, element.scrollHeight / 2)")


async def picker(page: Page) -> None:
    await page.get_by_role("button", name="Choose a model").click()


async def raw(page: Page) -> None:
    await page.get_by_role("button", name="More", exact=True).last.click()
    await page.get_by_role("menuitem", name="Raw response").click()
    await expect(page.locator(".inspector .code")).to_be_visible()


async def why(page: Page) -> None:
    await page.get_by_role("button", name="Why this model").last.click()
    await expect(page.locator(".inspector .candidates")).to_be_visible()


async def waiting(page: Page) -> None:
    await composer(page).fill("Slowly, please")
    await composer(page).press("Enter")
    await expect(page.get_by_text("is loading")).to_be_visible()


async def attached(page: Page) -> None:
    files = [{"name": name, "mimeType": "text/plain", "buffer": b"text"} for name in ("notes.txt", "a long name.md")]
    await page.locator("input[type=file]").set_input_files(files)
    await expect(page.get_by_role("progressbar")).to_have_count(0)


async def citation(page: Page) -> None:
    await page.locator("a.cite").first.click()
    await expect(page.locator(".is-cited")).to_be_visible()


async def opened(page: Page) -> None:
    for fold in await page.locator(".fold > summary").all():
        await fold.click()


async def unfolded(page: Page) -> None:
    for fold in await page.locator(".schedule-form summary").all():
        await fold.click()
    await page.locator("#schedule-runs").scroll_into_view_if_needed()


async def hit(page: Page) -> None:
    await page.locator(".hit-link").first.click()
    await expect(page.locator(".is-cited")).to_be_visible()


async def collections(page: Page) -> None:
    await page.get_by_role("button", name="Documents to search").click()


async def drawer(page: Page) -> None:
    opener = page.get_by_role("button", name="Show the conversation list")
    if await opener.count():
        await opener.click()


async def trial(page: Page) -> None:
    await page.get_by_role("button", name="Try", exact=True).click()
    await expect(page.locator(".workspace-try .md")).to_be_visible()


async def importing(page: Page) -> None:
    await page.get_by_role("button", name="Import").click()
    exported = Path(__file__).parents[1] / "fixtures/personas/openwebui-models.json"
    await page.locator("input[type=file]").set_input_files(exported)
    await expect(page.get_by_text("left out").first).to_be_visible()


async def editing(page: Page) -> None:
    await page.get_by_role("button", name="Change it").click()


async def palette(page: Page) -> None:
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("dialog")).to_be_visible()


Scene = tuple[str, str, Callable[[Page], Awaitable[None]]]
SCENES: list[Scene] = [
    ("empty", "/", nothing),
    ("conversation-start", "conversation", top),
    ("conversation-middle", "conversation", middle),
    ("conversation-end", "conversation", nothing),
    ("failure", "failure", nothing),
    ("long", "long", nothing),
    ("long-older", "long", top),
    ("picker", "/", picker),
    ("raw", "conversation", raw),
    ("route", "chosen", why),
    ("attached", "/", attached),
    ("rail", "conversation", drawer),
    ("palette", "/", palette),
    ("workspaces", "/workspaces", nothing),
    ("workspace", "/workspaces/support", trial),
    ("workspace-built-in", "/workspaces/auto-vision", nothing),
    ("workspace-new", "/workspaces/~new?persona=tutor", nothing),
    ("workspace-import", "/workspaces", importing),
    ("asking", "asking", nothing),
    ("asking-start", "asking", top),
    ("asking-edit", "asking", editing),
    ("plan", "plan", nothing),
    ("plan-start", "plan", top),
    ("knowledge", "/knowledge", nothing),
    ("collection", "Flat", nothing),
    ("collection-search", "Flat search", nothing),
    ("document", "Flat search", hit),
    ("memory", "/memory", nothing),
    ("cited", "cited", nothing),
    ("cited-opened", "cited", opened),
    ("citation", "cited", citation),
    ("collections", "cited", collections),
    ("approvals", "/approvals", nothing),
    ("schedules", "/schedules", nothing),
    ("schedule", "schedule", nothing),
    ("schedule-more", "schedule", unfolded),
    ("schedule-hook", "hook", nothing),
    ("schedule-new", "/schedules/~new", nothing),
    ("gallery", "/gallery", nothing),
    ("tools", "/tools", nothing),
    ("models", "/models", nothing),
    ("settings", "/settings", nothing),
    ("manual", "/manual", nothing),
    ("files", "/settings/files", nothing),
    ("data", "/settings/data", nothing),
    ("usage", "/settings/usage", nothing),
    ("activity", "/activity", nothing),
    ("turns", "/activity/turns", nothing),
    ("lost", "/nowhere", nothing),
    ("waiting", "/", waiting),
]


async def shoot(visit: Visit, folder: Path, scenes: Sequence[Scene], addresses: dict[str, str]) -> None:
    """Every scene in every size and theme."""
    for size, pixels in SIZES.items():
        for theme in ("light", "dark"):
            page = await visit.another(size=pixels, theme=theme, has_touch=size == "narrow")
            for name, address, prepare in scenes:
                await page.goto(visit.portal.url + addresses.get(address, address))
                await settle(page)
                await prepare(page)
                await settle(page)
                await page.screenshot(path=folder / f"{name}-{size}-{theme}.png")
            await page.context.close()


async def run(folder: Path, only: str | None) -> list[str]:
    """All pictures; gives back what the console complained about."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [scene for scene in SCENES if only is None or scene[0].startswith(only)]
    problems: list[str] = []
    async with open_chromium() as browser:
        with tempfile.TemporaryDirectory() as data:
            backend = ScriptedBackend(name="ollama", models=MODELS, default=answer)
            async with open_visit(
                browser, Path(data), backend=backend, toolsets=[*Desk().toolsets(), Tasks()]
            ) as visit:
                await shoot(visit, folder, scenes, await seed(visit))
                problems += visit.problems
        with tempfile.TemporaryDirectory() as data:
            async with open_visit(browser, Path(data), backend=ScriptedBackend(models=[])) as visit:
                await shoot(visit, folder, [("first-run", "/", nothing), ("knowledge-none", "/knowledge", nothing)], {})
                problems += visit.problems
        with tempfile.TemporaryDirectory() as data:
            backend = ScriptedBackend(name="ollama", models=MODELS)
            backend.failure = BackendUnavailable("ollama at http://127.0.0.1:11434 cannot be reached.")
            async with open_visit(browser, Path(data), backend=backend) as visit:
                away: list[Scene] = [("server-down", "/", nothing), ("workspaces-none", "/workspaces", nothing)]
                await shoot(visit, folder, away, {})
                problems += visit.problems
    return problems


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "screenshots")
    parser.add_argument("--only", help="only scenes whose name begins so")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.folder, arguments.only))


if __name__ == "__main__":
    main()
