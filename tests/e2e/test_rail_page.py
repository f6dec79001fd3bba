"""The list of conversations: what a person sees, finds, changes and undoes in it."""

import asyncio

import pytest
from playwright.async_api import Locator, Page, Route
from tests.e2e.browser import IN_FULL, NARROW, Visit, Visiting, composer, expect, in_browser_loop, violations
from tests.e2e.conversations import DAY, add_conversations, add_folder, add_many

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import TextDelta

pytestmark = in_browser_loop


def rail(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Conversations")


def entry(page: Page, title: str) -> Locator:
    return rail(page).get_by_role("link", name=title, exact=True)


def titles(page: Page) -> Locator:
    return rail(page).locator(".rail-item .rail-name > :first-child")


def echoing() -> ScriptedBackend:
    return ScriptedBackend(models=["tiny"], default=echo)


async def menu(page: Page, title: str, action: str) -> None:
    await rail(page).get_by_role("button", name=f"Actions for {title}", exact=True).click()
    await page.get_by_role("menuitem", name=action).click()


async def seen(visit: Visit, *names: str) -> list[str]:
    """Put conversations into the storage and show them, newest first."""
    ids = await add_conversations(visit.portal, names)
    await visit.page.reload()
    await expect(entry(visit.page, names[0])).to_be_visible()
    return ids


async def test_the_list_is_grouped_by_day_with_the_pinned_ones_first(visiting: Visiting) -> None:
    async with visiting() as visit:
        await add_many(visit.portal, 12, step=3 * DAY)
        await visit.page.reload()
        await menu(visit.page, "Conversation 2", "Pin")
        headings = rail(visit.page).get_by_role("heading", level=3)
        await expect(headings.first).to_have_text("Pinned")
        await expect(titles(visit.page).first).to_have_text("Conversation 2")
        words = await headings.all_inner_texts()
        assert words[1] == "Today"
        assert len(words) >= 4, "every few days a group of their own, then months"
        await visit.page.reload()
        await expect(titles(visit.page).first).to_have_text("Conversation 2")


async def test_renaming_in_place_is_kept_and_esc_leaves_it(visiting: Visiting) -> None:
    async with visiting() as visit:
        [first] = await seen(visit, "Old title")
        await menu(visit.page, "Old title", "Rename")
        field = rail(visit.page).get_by_role("textbox", name="Title")
        await expect(field).to_be_focused()
        await field.fill("Nothing")
        await field.press("Escape")
        await expect(entry(visit.page, "Old title")).to_be_focused()
        await visit.page.keyboard.press("F2")
        await field.fill("שלום, a new title")
        await field.press("Enter")
        await expect(entry(visit.page, "שלום, a new title")).to_be_focused()
        stored = await visit.portal.portal.storage.conversations.get(visit.portal.owner, first)
        assert (stored.title, stored.title_source) == ("שלום, a new title", "user")


async def test_deleting_can_be_undone(visiting: Visiting) -> None:
    async with visiting(backend=echoing()) as visit:
        await visit.ask("Keep this safe")
        await expect(visit.page.locator(".answer .md")).to_have_text("Keep this safe")
        address = visit.page.url
        await menu(visit.page, "Keep this safe", "Delete")
        await expect(entry(visit.page, "Keep this safe")).to_have_count(0)
        await expect(composer(visit.page)).to_be_visible()
        assert visit.page.url != address
        await visit.page.get_by_role("button", name="Undo").click()
        await expect(entry(visit.page, "Keep this safe")).to_be_visible()
        await visit.page.wait_for_url(address)
        await expect(visit.page.locator(".answer .md")).to_have_text("Keep this safe")


async def test_several_are_selected_moved_pinned_and_deleted_together(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        folder = await add_folder(visit.portal, "Work")
        await seen(visit, *[f"Talk {n}" for n in range(8)])
        await rail(page).get_by_role("button", name="Select", exact=True).click()
        boxes = rail(page).get_by_role("checkbox")
        await boxes.nth(1).check()
        await boxes.nth(4).click(modifiers=["Shift"])
        bar = page.get_by_role("toolbar", name="Selected conversations")
        await expect(bar).to_contain_text("4 selected")
        await bar.get_by_role("button", name="Move to folder").click()
        await page.get_by_role("dialog").get_by_role("button", name="Work").click()
        await expect(page.get_by_text("4 conversations moved to Work")).to_be_visible()
        found = await visit.portal.portal.storage.conversations.list(visit.portal.owner, folder_id=folder)
        assert {record.title for record in found.data} == {"Talk 1", "Talk 2", "Talk 3", "Talk 4"}

        await rail(page).get_by_role("button", name="Select", exact=True).click()
        for n in (0, 7):
            await boxes.nth(n).check()
        await bar.get_by_role("button", name="Delete").click()
        await expect(titles(page)).to_have_text([f"Talk {n}" for n in range(1, 7)])
        await expect(boxes).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(titles(page)).to_have_text([f"Talk {n}" for n in range(8)])


async def test_the_list_by_keyboard_alone(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await seen(visit, *[f"Talk {n}" for n in range(60)])
        await page.get_by_role("main").focus()
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
        await page.keyboard.press("ArrowDown")
        await expect(entry(page, "Talk 0")).to_be_focused()
        await page.keyboard.press("End")
        await expect(entry(page, "Talk 59")).to_be_focused()
        await expect(entry(page, "Talk 59")).to_be_in_viewport()
        await page.keyboard.press("ArrowUp")
        await expect(entry(page, "Talk 58")).to_be_focused()
        await page.keyboard.press("Shift+F10")
        await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
        await page.keyboard.press("Escape")
        await entry(page, "Talk 58").focus()
        await page.keyboard.press("Space")
        await page.keyboard.press("Shift+ArrowDown")
        await expect(page.get_by_role("toolbar", name="Selected conversations")).to_contain_text("2 selected")
        await page.keyboard.press("Delete")
        await expect(page.get_by_text("2 conversations deleted")).to_be_visible()
        await expect(rail(page).get_by_text("Talk 58")).to_have_count(0)


async def test_search_looks_into_the_messages_and_shows_where(visiting: Visiting) -> None:
    async with visiting(backend=echoing()) as visit:
        await seen(visit, "About lighthouses", "About nothing")
        await visit.ask("The keeper of the LIGHTHOUSE at Skagen wrote letters")
        await expect(visit.page.locator(".answer .md")).to_be_visible()
        await expect(visit.page.get_by_role("button", name="Copy answer")).to_be_visible()
        field = visit.page.get_by_role("searchbox", name="Search conversations")
        await field.fill("skagen")
        hits = rail(visit.page).locator(".rail-item")
        await expect(hits).to_have_count(1)
        await expect(hits.locator("mark").first).to_have_text("Skagen")
        await field.fill("lighthouse")
        await expect(hits).to_have_count(2)
        await field.fill('nothing has (these* words"')
        await expect(rail(visit.page).get_by_text("Nothing found")).to_be_visible()
        await field.press("Escape")
        await expect(titles(visit.page)).to_have_count(3)


async def test_another_device_sees_every_change_as_it_happens(visiting: Visiting) -> None:
    async with visiting(backend=echoing()) as visit:
        other = await visit.another()
        await visit.ask("Said here")
        await expect(entry(other, "Said here")).to_be_visible()
        await menu(visit.page, "Said here", "Rename")
        await rail(visit.page).get_by_role("textbox", name="Title").fill("Named there")
        await visit.page.keyboard.press("Enter")
        await expect(entry(other, "Named there")).to_be_visible()
        await menu(other, "Named there", "Delete")
        await expect(rail(visit.page).get_by_text("Your conversations will be listed here.")).to_be_visible()
        await other.get_by_role("button", name="Undo").click()
        await expect(entry(visit.page, "Named there")).to_be_visible()


async def test_a_running_answer_is_marked_on_every_device(visiting: Visiting) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("Slowly "), gate, TextDelta("done"))
    async with visiting(backend=backend) as visit:
        other = await visit.another()
        await visit.ask("Take your time")
        row = rail(other).get_by_role("listitem").filter(has_text="Take your time")
        await expect(row.get_by_text("Answering")).to_be_attached()
        gate.set()
        await expect(row.get_by_text("Answering")).to_have_count(0)


async def test_a_folder_shares_instructions_workspace_and_files(visiting: Visiting) -> None:
    backend = echoing()
    async with visiting(backend=backend) as visit:
        page = visit.page
        await rail(page).get_by_role("button", name="New folder").click()
        await page.get_by_label("Name", exact=True).fill("Letters")
        await page.keyboard.press("Enter")
        await page.get_by_label("Instructions", exact=True).fill("Answer as a postman.")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("main").get_by_text("Saved", exact=True)).to_be_visible()
        async with page.expect_file_chooser() as chooser:
            await page.get_by_text("Add files").click()
        await (await chooser.value).set_files(
            {"name": "stamps.txt", "mimeType": "text/plain", "buffer": b"blue mauritius"}
        )
        await expect(page.get_by_role("link", name="stamps.txt")).to_be_visible()
        await page.get_by_label("Workspace or model for new chats").select_option("auto-creative")
        assert await violations(page) == []

        await page.get_by_role("link", name="New chat here").click()
        await expect(page.get_by_role("button", name="Choose a model: auto-creative")).to_be_visible()
        await visit.ask("What do you carry?")
        await expect(page.locator(".answer .md")).to_contain_text("What do you carry?")
        sent = str(backend.requests[-1].messages)
        assert "Answer as a postman." in sent
        assert "blue mauritius" in sent
        newest = await visit.portal.portal.storage.conversations.list(visit.portal.owner, limit=1)
        assert newest.data[0].model == "auto-creative"
        await rail(page).get_by_role("link", name="Letters").click()
        await expect(page.get_by_role("main").get_by_role("link", name="What do you carry?")).to_be_visible()

        await page.get_by_text("Instructions, model and files").click()
        await page.get_by_role("button", name="Delete folder").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete folder").click()
        await expect(rail(page).get_by_role("link", name="Letters")).to_have_count(0)
        await expect(entry(page, "What do you carry?")).to_be_visible()


async def test_a_long_folder_stays_where_it_is_read_when_something_changes(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        folder = await add_folder(visit.portal, "Letters")
        ids = await add_conversations(visit.portal, [f"Letter {n}" for n in range(250)], folder=folder)
        await page.goto(f"{visit.portal.url}/folders/{folder}")
        inside = page.get_by_role("main")
        await expect(inside.get_by_role("link", name="Letter 0", exact=True)).to_be_visible()
        last = inside.locator(".rail-row").last
        while await last.get_attribute("data-index") != "249":
            await last.scroll_into_view_if_needed()
        await visit.post("/portal/v1/conversations/delete", {"ids": [ids[0]]})
        await expect(last).to_have_attribute("data-index", "248")
        await expect(inside.get_by_role("link", name="Letter 249", exact=True)).to_be_visible()


async def test_a_folder_shows_what_changed_while_it_was_read(visiting: Visiting) -> None:
    read, gate = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        read.set()
        await gate.wait()
        await route.fulfill(response=answer)

    async with visiting() as visit:
        page = visit.page
        folder = await add_folder(visit.portal, "Letters")
        ids = await add_conversations(visit.portal, ["Letter 0", "Letter 1"], folder=folder)
        await page.route(f"**/portal/v1/conversations?*{folder}*", late, times=1)
        await page.goto(f"{visit.portal.url}/folders/{folder}")
        await read.wait()
        await expect(entry(page, "Letter 0")).to_be_visible()
        await visit.post("/portal/v1/conversations/delete", {"ids": [ids[0]]})
        await expect(entry(page, "Letter 0")).to_have_count(0)
        gate.set()
        inside = page.get_by_role("main")
        await expect(inside.get_by_role("link", name="Letter 1", exact=True)).to_be_visible()
        await expect(inside.get_by_role("link", name="Letter 0", exact=True)).to_have_count(0)


async def test_the_palette_finds_actions_and_conversations(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await seen(visit, "Bread and butter", "Cheese")
        await page.keyboard.press("Control+k")
        field = page.get_by_role("combobox", name="Commands and conversations")
        await expect(field).to_be_focused()
        assert await violations(page) == []
        await field.fill("butter")
        await expect(page.get_by_role("option", name="Bread and butter")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page).to_have_title("Bread and butter · Portal")
        await page.keyboard.press("Control+k")
        await field.fill("rename")
        await page.keyboard.press("Enter")
        await page.get_by_role("dialog").get_by_role("textbox", name="Title").fill("Bread alone")
        await page.keyboard.press("Enter")
        await expect(entry(page, "Bread alone")).to_be_visible()
        await expect(page).to_have_title("Bread alone · Portal")
        await page.keyboard.press("Control+k")
        await field.fill("dark")
        await page.keyboard.press("Enter")
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.keyboard.press("Control+k")
        await expect(field).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.get_by_role("main").focus()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Edit the last question")
        assert await violations(page) == []


async def test_narrow_and_folded_the_list_is_a_drawer_or_icons(visiting: Visiting) -> None:
    async with visiting(size=NARROW) as visit:
        page = visit.page
        await add_conversations(visit.portal, [f"A rather long title of a conversation, number {n}" for n in range(30)])
        await page.reload()
        await page.get_by_role("button", name="Show the conversation list").click()
        await expect(rail(page)).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
        box = await rail(page).locator(".rail-row").first.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert await violations(page) == []
        await rail(page).locator(".rail-item").nth(3).click()
        await expect(rail(page)).to_have_count(0)
        await page.get_by_role("main").focus()
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox", name="Search conversations")).to_be_focused()

        wide = await visit.another()
        await wide.get_by_role("button", name="Hide the conversation list").click()
        await expect(rail(wide).get_by_role("link")).to_have_count(12)
        await rail(wide).get_by_role("button", name="Search conversations").click()
        await expect(wide.get_by_role("searchbox", name="Search conversations")).to_be_focused()


@pytest.mark.parametrize("theme", [pytest.param("light", marks=IN_FULL), "dark"])
async def test_the_list_in_use_has_nothing_axe_objects_to(visiting: Visiting, theme: str) -> None:
    async with visiting(theme=theme) as visit:
        await add_folder(visit.portal, "Work")
        await add_conversations(visit.portal, [f"Talk {n}" for n in range(30)])
        await visit.page.reload()
        await rail(visit.page).get_by_role("button", name="Actions for Talk 2", exact=True).click()
        assert await violations(visit.page) == []
        await visit.page.get_by_role("menuitem", name="Select").click()
        assert await violations(visit.page) == []
        await visit.page.get_by_role("searchbox").fill("Talk")
        await expect(rail(visit.page).locator("mark").first).to_be_visible()
        assert await violations(visit.page) == []


@pytest.mark.slow
async def test_a_hundred_thousand_conversations_stay_smooth(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        await add_many(visit.portal, 100_000)
        await page.reload()
        await expect(entry(page, "Conversation 0")).to_be_visible()
        rows = rail(page).locator(".rail-row")
        scroller = rail(page).locator(".rail-scroll")
        for _ in range(40):  # each step shows what was loaded, and asks for the next page
            reached = int(await rows.last.get_attribute("data-index") or 0)
            await scroller.evaluate("element => { element.scrollTop = element.scrollHeight }")
            await expect(rows.last).not_to_have_attribute("data-index", str(reached))
            assert await rows.count() < 90
        assert int(await rows.last.get_attribute("data-index") or 0) > 3_000
        last = titles(page).last
        assert (await last.inner_text()).startswith("Conversation ")
        await scroller.evaluate("element => { element.scrollTop = 0 }")
        await expect(entry(page, "Conversation 0")).to_be_visible()
