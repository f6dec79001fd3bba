"""The views around the chat: models, first steps, settings, manual, sign-in, and the page without a network."""

import asyncio
import re
from itertools import cycle
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route
from tests.e2e.browser import MIDDLE, NARROW, WIDE, Theme, Visiting, composer, expect, in_browser_loop, violations
from tests.e2e.conversations import add_conversations, add_folder

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import ModelInfo
from portal.errors import BackendUnavailable
from portal.testing.ollama_server import OllamaServer
from portal.testing.portal import open_test_portal

pytestmark = in_browser_loop

TINY_GGUF = Path(__file__).parents[1] / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"
VIEWS = {
    "/models": "All models",
    "/welcome": "Ask the guide",
    "/knowledge": "Let answers rest on your documents",
    "/memory": "Nothing is remembered yet.",
    "/workspaces": "Reviews code and systems",
    "/approvals": "Nothing waits for you.",
    "/tools": "Tools",
    "/skills": "There are no skills yet.",
    "/settings/sign-in": "Password",
    "/settings/people": "Invite",
    "/settings/appearance": "Text size",
    "/settings/keys": "Address for OpenAI clients",
    "/settings/devices": "Signed-in browsers",
    "/settings/channels": "No chat platform is set up",
    "/settings/data": "Export everything",
    "/settings/files": "There are no files yet",
    "/settings/usage": "Calls and tokens",
    "/settings/about": "Licence",
    "/activity": "Event loop late by",
    "/activity/turns": "What took how long",
    "/activity/events": "Events",
    "/activity/log": "About the log",
    "/schedules": "Nothing runs by itself yet",
    "/gallery": "Nothing was made yet.",
    "/manual": "Install and start Portal",
    "/manual/api": "Authentication",
    "/manual/nothing": "The manual has no such page.",
    "/folders/nothing": "This folder is not here.",
    "/c/nothing": "This conversation is not here.",
    "/nowhere": "There is nothing at this address.",
}

WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page')?.scrollWidth ?? 0)"


def echoing() -> ScriptedBackend:
    return ScriptedBackend(models=["tiny"], default=echo)


async def go(page: Page, address: str) -> None:
    await page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + address)


STATIC = Path(__file__).parents[2] / "src/portal/interfaces/web/static"
ELSEWHERE = {"", "documents", "sign-in"}
"""The chat, a document and the sign-in: shown with something in them by tests of their own, with axe."""


async def test_no_view_is_left_out() -> None:
    router = (STATIC / "router.js").read_text(encoding="utf-8")
    routes = set(re.findall(r"^  \[/\^\\/([a-z-]*)", router, re.MULTILINE))
    sections = {
        f"/{place}/{name}"
        for place, file in (("settings", "settings.js"), ("activity", "insight.js"))
        for name in re.findall(r'^  \["([a-z-]+)", \(\) =>', (STATIC / "views" / file).read_text("utf-8"), re.MULTILINE)
    }

    assert len(routes) > 15
    assert routes - ELSEWHERE == {address.split("/")[1] for address in VIEWS} - {"nowhere"}
    assert sections - {"/activity/now"} <= VIEWS.keys()


@pytest.mark.parametrize("part", range(3))
async def test_every_view_opens_at_its_address_fits_and_satisfies_axe(visiting: Visiting, part: int) -> None:
    async with visiting(backend=echoing()) as visit:
        page = visit.page
        await visit.ask("Use some tokens")
        await expect(page.locator(".answer .md")).to_be_visible()
        looks = cycle([(WIDE, "light"), (NARROW, "dark"), (WIDE, "dark"), (NARROW, "light")])
        for (address, words), ((width, height), theme) in zip([*VIEWS.items()][part::3], looks, strict=False):
            await page.set_viewport_size({"width": width, "height": height})
            await page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            await go(page, address)
            await expect(page.get_by_role("main").get_by_text(words).locator("visible=true").first).to_be_visible()
            assert (address, await violations(page)) == (address, [])
            assert (address, await page.evaluate(WIDTH) <= width) == (address, True)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, MIDDLE, NARROW], ids=["wide", "middle", "narrow"])
async def test_every_view_in_each_theme_and_size(visiting: Visiting, size: tuple[int, int], theme: Theme) -> None:
    async with visiting(backend=echoing(), size=size, theme=theme) as visit:
        page = visit.page
        folder = await add_folder(visit.portal, "Work")
        await add_conversations(visit.portal, [f"A conversation about subject {n}" for n in range(40)], folder=folder)
        for address, words in {**VIEWS, f"/folders/{folder}": "Conversations in this folder"}.items():
            await go(page, address)
            await expect(page.get_by_role("main").get_by_text(words).locator("visible=true").first).to_be_visible()
            assert (address, await violations(page)) == (address, [])
            assert (address, await page.evaluate(WIDTH) <= size[0]) == (address, True)


async def test_models_shows_what_is_there_and_what_auto_means(visiting: Visiting) -> None:
    big = ModelInfo(id="big", backend="scripted", capabilities=frozenset({"chat", "vision"}), parameters=8_000_000_000,
                    size=5_200_000_000, context_window=32_768, quantization="Q4_K_M", loaded=True,
                    pace=42.0, first_token=0.5)  # fmt: skip
    small = ModelInfo(id="small", backend="scripted", capabilities=frozenset({"embeddings"}))
    async with visiting(backend=ScriptedBackend(models=[big, small], default=echo)) as visit:
        page = visit.page
        await go(page, "/models")
        line = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="big"))
        for words in (
            "8B parameters",
            "Q4_K_M",
            "5.2 GB",
            "32k tokens",
            "images",
            "In memory",
            "42 tokens/s",
            "starts after",
        ):
            await expect(line).to_contain_text(words)
        await expect(page.get_by_role("region", name="What auto means now")).to_contain_text("auto answers with big")
        await expect(page.get_by_role("link", name="Chat with small")).to_have_count(0)
        await page.get_by_role("link", name="Chat with big").click()
        await visit.ask("Hello")
        await expect(page.get_by_role("article", name="big answered")).to_contain_text("Hello")


async def test_every_answer_says_why_this_model_who_else_could_have_and_what_failed_before(visiting: Visiting) -> None:
    models = [ModelInfo(id=name, backend="", parameters=size) for name, size in (("big", 8 * 10**9), ("small", 10**9))]
    async with visiting(backend=ScriptedBackend(models=models)) as visit:
        page = visit.page
        pane = page.get_by_role("complementary", name="Details")
        visit.backend.answer("One.")
        visit.backend.script(BackendUnavailable("out of order"))
        visit.backend.answer("Two.")
        await visit.ask("First")
        await page.get_by_role("button", name="Answered by big. Why this model").click()
        for words in ("Asked forauto", "Answered bybig", "Serverscripted", "Reasonauto: the largest of the 2 models"):
            await expect(pane).to_contain_text(words)
        others = pane.locator("section").filter(has_text="Who could have answered")
        await expect(others).to_contain_text("big")
        await expect(others).to_contain_text("small")
        await expect(others).to_contain_text("1B parameters")
        await expect(pane.get_by_role("meter", name="Score 100 of 100")).to_be_visible()
        await page.keyboard.press("Escape")
        await visit.ask("Second")
        await page.get_by_role("button", name="Answered by small. Why this model").click()
        await expect(pane).to_contain_text("big failed")
        await expect(pane.locator("section").filter(has_text="Tried before")).to_contain_text("big")


async def test_a_model_that_rests_says_until_when(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await go(page, "/models")
        card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="scripted"))
        await expect(card).to_contain_text("Running")
        gate = visit.portal.portal.models.candidates("tiny")[0].gate
        permit = await gate.enter()
        permit.failed(BackendUnavailable("busy", retry_after=600))
        permit.leave()
        await expect(card).to_contain_text(re.compile(r"tiny rests until .+, after 1 failure\."))


async def test_a_server_is_added_and_turns_green_when_it_starts(visiting: Visiting) -> None:
    async with OllamaServer() as server:
        address = server.url
        await server.stop()
        async with visiting() as visit:
            page = visit.page
            await go(page, "/models")
            await page.get_by_label("Kind", exact=True).select_option("ollama")
            await page.get_by_label("Address", exact=True).fill(address)
            await page.get_by_label("Name, if you like").fill("attic")
            await page.get_by_role("button", name="Add and look").click()
            await expect(page.get_by_text("Nothing answers there yet.")).to_be_visible()
            card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="attic"))
            await expect(card).to_contain_text("Not reachable")
            await expect(card).to_contain_text("ollama serve")
            await server.start()
            await expect(page.get_by_text("Found it: 1 model.")).to_be_visible()
            await expect(card).to_contain_text("Running")

            await page.get_by_role("button", name="Remove attic").click()
            await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
            await expect(card).to_have_count(0)
            await page.get_by_label("Address", exact=True).fill(address)
            await page.get_by_label("Name, if you like").fill("scripted")
            await page.get_by_role("button", name="Add and look").click()
            await expect(page.get_by_role("main").locator("form .bad")).to_contain_text("'scripted' already")


async def test_without_a_model_the_chat_shows_three_ways_and_the_guide_answers(visiting: Visiting) -> None:
    async with OllamaServer() as server, visiting(backend=ScriptedBackend(models=[])) as visit:
        page = visit.page
        await expect(page.get_by_role("heading", name="Get your first model")).to_be_visible()
        await expect(page.get_by_text("Looking for Ollama on this machine")).to_be_visible()
        await page.get_by_role("button", name="Run the embedded engine").click()
        await expect(page.get_by_text("Building it takes a C++ compiler")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="Use a server you have").click()
        await page.get_by_label("Kind", exact=True).select_option("ollama")
        await page.get_by_label("Address", exact=True).fill(server.url)
        assert await violations(page) == []
        await page.get_by_role("button", name="Add and look").click()
        await expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
        await expect(page.get_by_text("Found it: 1 chat model. You can start.")).to_be_visible()
        await go(page, "/welcome")
        await expect(page.get_by_text("Found it: 1 chat model.")).to_be_visible()
        await page.get_by_role("link", name="Ask the guide").click()
        await visit.ask("How do I add a model server?")
        await page.locator(".citation, .source, .sources a, .sources button").first.click()
        await expect(page.get_by_role("complementary", name="Details")).to_contain_text("Add a model server")


async def test_a_server_that_is_down_is_named_instead_of_the_first_steps(visiting: Visiting) -> None:
    backend = ScriptedBackend(name="attic", models=["tiny"], default=echo)
    backend.failure = BackendUnavailable("attic at http://attic:11434 cannot be reached.")
    async with visiting(backend=backend) as visit:
        page = visit.page
        await expect(page.get_by_role("heading", name="attic does not answer")).to_be_visible()
        await expect(page.get_by_role("heading", name="Get your first model")).to_have_count(0)
        await expect(page.get_by_role("region", name="What needs a look")).to_contain_text("cannot be reached")
        assert await violations(page) == []
        await page.get_by_role("button", name="Look again").click()
        await expect(page.get_by_role("button", name="Look again")).to_be_enabled()
        backend.failure = None  # the page looks by itself while this is shown
        await expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()


async def test_the_engine_shows_its_build_and_fetches_models(visiting: Visiting, tmp_path: Path) -> None:
    async with visiting() as visit:
        page = visit.page
        await go(page, "/models")
        source = page.get_by_label("Repository file, web address or path of a GGUF file")
        await source.fill(str(TINY_GGUF))
        await page.get_by_role("button", name="Fetch", exact=True).click()
        await expect(page.get_by_text("Here", exact=True)).to_be_visible()
        await expect(page.get_by_text("1 model file:")).to_be_visible()
        await page.get_by_role("button", name=f"Take {TINY_GGUF.name} off this list").click()
        await expect(page.get_by_text("Here", exact=True)).to_have_count(0)
        await source.fill(str(tmp_path / "nothing.gguf"))
        await page.get_by_role("button", name="Fetch", exact=True).click()
        await expect(page.locator(".toast, .pull .bad").first).to_be_visible()

        # A build takes minutes: what the server says while it lasts is put in its mouth.
        building = {"state": "running", "progress": 0.31, "log_tail": ["[12/38] Building ggml.c", "[13/38] Linking"]}
        needs = {"compiler": "g++", "cmake": None, "minutes": 7, "space_mb": 600, "problems": []}
        status = {"installed": False, "building": building, "needs": needs, "models": [], "pulls": []}
        await page.route("**/portal/v1/embedded", lambda route: route.fulfill(json=status))
        await page.reload()
        await expect(page.get_by_text("Building: 31 %")).to_be_visible()
        await expect(page.get_by_label("What the build says")).to_contain_text("[13/38] Linking")
        building.update(state="failed", log_tail=["error: no space left"])
        await expect(page.get_by_text("The build failed.")).to_be_visible()
        await expect(page.get_by_label("What the build says")).to_contain_text("no space left")
        await expect(page.get_by_role("button", name="Build again")).to_be_enabled()


async def test_a_key_is_shown_once_works_and_ends_when_revoked(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await go(page, "/settings/keys")
        await page.get_by_label("Name of the program").fill("my-editor")
        await page.get_by_role("button", name="Create key").click()
        fresh = page.get_by_role("status").filter(has_text="It is shown only now.")
        key = await fresh.locator("code").inner_text()
        assert await violations(page) == []
        client = await visit.browser.new_context(extra_http_headers={"Authorization": f"Bearer {key}"})
        visit.contexts.append(client)
        assert (await client.request.get(f"{visit.portal.url}/v1/models")).status == 200
        await page.get_by_role("button", name="I have copied it").click()
        assert key not in await page.content()
        await page.get_by_label("Name of the program").fill("my-editor")
        await page.get_by_role("button", name="Create key").click()
        await expect(page.get_by_role("alert")).not_to_be_empty()
        await page.get_by_role("button", name="Revoke the key my-editor").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_role("button", name="Revoke the key my-editor")).to_have_count(0)
        assert (await client.request.get(f"{visit.portal.url}/v1/models")).status == 401


async def test_a_link_signs_another_device_in_and_the_list_signs_it_out(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await go(page, "/settings/devices")
        await page.get_by_role("button", name="Make a sign-in link").click()
        link = await page.get_by_role("main").locator(".copy-line code").inner_text()
        context = await visit.browser.new_context()
        visit.contexts.append(context)
        other = await context.new_page()
        await other.goto(link)
        await expect(composer(other)).to_be_visible()
        stale = await visit.browser.new_context()
        visit.contexts.append(stale)
        late = await stale.new_page()
        await late.goto(link)
        await expect(late.get_by_text("That link was used before or is too old.")).to_be_visible()
        assert await violations(late) == []

        await page.reload()
        lines = page.get_by_role("main").get_by_role("listitem")
        await expect(lines).to_have_count(2)
        await expect(lines.filter(has_text="this one").get_by_role("button")).to_have_count(0)
        await page.get_by_role("button", name="Sign out Chrome on Linux").click()
        await expect(lines).to_have_count(1)
        await go(other, "/settings/devices")
        await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_role("button", name="Sign out of this browser").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await expect(page.get_by_text("./launch.sh link")).to_be_visible()


async def test_a_browser_without_a_session_is_told_how_to_sign_in(chromium: Browser, tmp_path: Path) -> None:
    async with open_test_portal(tmp_path) as portal:
        context = await chromium.new_context(viewport={"width": NARROW[0], "height": NARROW[1]}, color_scheme="dark")
        page = await context.new_page()
        await page.goto(f"{portal.url}/settings/keys")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_role("button", name="I have opened the link").click()
        await expect(page.get_by_text("This browser is still not signed in.")).to_be_visible()
        await (await context.new_page()).goto(await portal.sign_in_link())
        await page.get_by_role("button", name="I have opened the link").click()
        await expect(page.get_by_text("Address for OpenAI clients")).to_be_visible()
        await context.close()


async def test_appearance_and_language_follow_the_person_to_another_device(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await go(page, "/settings")
        await page.get_by_role("radio", name="Dark").check(force=True)
        await page.get_by_role("radio", name="Largest").check(force=True)
        await page.get_by_role("radio", name="Deutsch").check(force=True)
        await expect(page.get_by_role("heading", name="Darstellung")).to_be_visible()
        assert await violations(page) == []
        other = await visit.browser.new_context()
        visit.contexts.append(other)
        german = await other.new_page()
        await german.goto(await visit.portal.sign_in_link())
        await expect(german.get_by_role("link", name="Neuer Chat")).to_be_visible()
        html = german.locator("html")
        await expect(html).to_have_attribute("lang", "de")
        await expect(html).to_have_attribute("data-theme", "dark")
        await expect(html).to_have_attribute("data-text", "xl")
        assert await german.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") == 20
        assert await violations(german) == []


async def test_the_manual_opens_at_a_section_and_is_searched_by_its_headings(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await go(page, "/manual/models#what-auto-means")
        heading = page.get_by_role("heading", name="What auto means")
        await expect(heading).to_be_focused()
        await expect(heading).to_be_in_viewport()
        await page.get_by_role("searchbox", name="Find in the manual").fill("revoke key")
        await page.get_by_role("link", name="Revoke a key").click()
        await expect(page).to_have_url(f"{visit.portal.url}/manual/security#revoke-a-key")
        await expect(page.get_by_role("heading", name="Revoke a key")).to_be_in_viewport()
        await page.get_by_role("article").get_by_role("link", name="portal keys").first.click()
        await expect(page).to_have_url(f"{visit.portal.url}/manual/terminal#portal-keys")
        await page.go_back()
        await expect(page).to_have_title("Security and privacy · Portal")
        await page.get_by_role("searchbox", name="Find in the manual").fill("zeppelin")
        await page.get_by_role("link", name="Ask the guide instead").click()
        await expect(composer(page)).to_have_value("zeppelin")


async def test_usage_is_listed_by_day_and_model(visiting: Visiting) -> None:
    async with visiting(backend=echoing()) as visit:
        page = visit.page
        await go(page, "/settings/usage")
        await expect(page.get_by_text("Nothing was used in this time.")).to_be_visible()
        await go(page, "/")
        await visit.ask("one two three")
        await expect(page.get_by_role("button", name="Copy answer")).to_be_visible()
        await go(page, "/settings/usage")
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="tiny"))
        await expect(row.get_by_role("cell").first).to_have_text("1")


KEPT = """async () => {
    for (;;) {
        const used = performance.getEntriesByType("resource").map((entry) => new URL(entry.name).pathname);
        const kept = (await (await caches.open("portal-shell")).keys()).map((each) => new URL(each.url).pathname);
        if (used.every((path) => !path.startsWith("/static/") || kept.includes(path))) return;
        await new Promise(requestAnimationFrame);
    }
}"""
"""Until the worker has copied all that the page has used."""


async def test_without_a_network_the_page_says_so_opens_and_catches_up(visiting: Visiting) -> None:
    async with visiting(backend=echoing(), service_workers="allow") as visit:
        page = visit.page
        await page.evaluate("navigator.serviceWorker.ready")
        await page.reload()  # what a page that the worker already serves loads, it keeps
        await expect(composer(page)).to_be_visible()
        await page.evaluate(KEPT)
        await visit.context.set_offline(True)
        await page.reload()
        await expect(page.get_by_text("Portal cannot be reached.").first).to_be_visible()
        cached = await page.evaluate(
            "caches.open('portal-shell').then((c) => c.keys()).then((keys) => keys.map((k) => new URL(k.url).pathname))"
        )
        assert "/static/app.js" in cached
        assert [path for path in cached if path != "/" and not path.startswith("/static/")] == []
        await add_conversations(visit.portal, ["Came meanwhile"])
        await visit.context.set_offline(False)
        await expect(page.get_by_role("link", name="Came meanwhile")).to_be_visible()
        await expect(page.get_by_text("Portal cannot be reached.")).to_have_count(0)
        visit.problems.clear()  # the browser's console repeats every request that found no network


async def test_a_view_that_cannot_be_loaded_says_so_and_is_tried_again(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await page.route("**/static/views/models.js", lambda route: route.abort())
        await page.get_by_role("link", name="Models").click()
        await expect(page.get_by_role("alert")).to_contain_text("Portal cannot be reached.")
        await page.unroute("**/static/views/models.js")
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()


async def test_who_goes_elsewhere_after_asking_stays_there(visiting: Visiting) -> None:
    async with visiting(backend=echoing()) as visit:
        page = visit.page
        going = asyncio.Event()

        async def slowly(route: Route) -> None:
            await going.wait()
            await route.continue_()

        await page.route("**/v1/conversations", slowly)
        await visit.ask("Hello there")
        await page.get_by_role("link", name="Models").click()
        await expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        going.set()
        await page.get_by_role("link", name="Hello there").click()
        await expect(page.locator(".answer .md")).to_have_text("Hello there")


async def test_the_page_can_be_installed(visiting: Visiting) -> None:
    async with visiting() as visit:
        href = await visit.page.locator('link[rel="manifest"]').get_attribute("href")
        manifest = await (await visit.context.request.get(f"{visit.portal.url}{href}")).json()
        assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")
        sizes = {icon["sizes"] for icon in manifest["icons"]}
        assert {"192x192", "512x512"} <= sizes
        for icon in manifest["icons"]:
            answer = await visit.context.request.get(f"{visit.portal.url}{icon['src']}")
            assert (answer.status, answer.headers["content-type"]) == (200, icon["type"])
