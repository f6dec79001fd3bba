"""@server:resource and /server:prompt in the composer."""

import sys
from pathlib import Path

from tests.e2e.browser import NARROW, Visiting, composer, expect, in_browser_loop, violations

from portal.backends.scripted import ScriptedBackend, echo

pytestmark = in_browser_loop

SERVERS = Path(__file__).parents[1] / "mcp" / "servers.py"
SETTINGS = {"mcp": {"servers": {"plain": {"command": sys.executable, "args": [str(SERVERS), "plain"]}}}}


async def test_a_resource_is_attached(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with visiting(backend=backend, settings=SETTINGS) as visit:
        page = visit.page
        await visit.post("/portal/v1/mcp/servers/plain/test", {})
        field = composer(page)
        await field.press_sequentially("What is in @pl")
        servers = page.get_by_role("listbox", name="Resources of tool servers")
        await expect(servers.get_by_role("option")).to_have_count(1)
        await field.press("Enter")
        await expect(field).to_have_value("What is in @plain:")
        await expect(servers.get_by_role("option", name="note")).to_be_visible()
        await field.press("ArrowDown")
        await field.press("Tab")
        await expect(field).to_have_value("What is in ")
        await expect(page.get_by_role("button", name="Remove one")).to_be_visible()
        await field.press_sequentially("it?")
        await expect(servers).to_have_count(0)
        await field.press("Enter")
        await expect(page.locator(".answer")).to_contain_text("remember the milk")


async def test_a_prompt_is_written_out(visiting: Visiting) -> None:
    async with visiting(settings=SETTINGS) as visit:
        page, field = visit.page, composer(visit.page)
        await visit.post("/portal/v1/mcp/servers/plain/test", {})
        await field.press_sequentially("/")
        prompts = page.get_by_role("listbox", name="Prompts of tool servers")
        await prompts.get_by_role("option", name="plain").click()
        await prompts.get_by_role("option", name="cheer").click()
        await expect(field).to_have_value("Say something kind.")


async def test_a_prompt_asks_for_what_it_wants_to_know(visiting: Visiting) -> None:
    async with visiting(settings=SETTINGS, size=NARROW) as visit:
        page, field = visit.page, composer(visit.page)
        await visit.post("/portal/v1/mcp/servers/plain/test", {})
        await field.press_sequentially("/plain:gr")
        await page.get_by_role("option", name="greet").wait_for()
        await field.press("Enter")
        form = page.get_by_role("dialog", name="greet")
        await expect(form.get_by_text("Greet somebody.")).to_be_visible()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        await expect(form).to_have_count(0)
        await expect(field).to_be_focused()
        await field.press("Enter")
        await form.get_by_label("name").fill("Ada")
        await page.keyboard.press("Enter")
        await expect(field).to_have_value("Say hello to Ada")


async def test_escape_leaves_and_a_server_that_is_away_completes_nothing(visiting: Visiting) -> None:
    async with visiting(settings=SETTINGS, size=NARROW) as visit:
        page, field = visit.page, composer(visit.page)
        await visit.post("/portal/v1/mcp/servers/plain/test", {})
        await field.press_sequentially("@")
        servers = page.get_by_role("listbox", name="Resources of tool servers")
        await expect(servers).to_be_visible()
        assert await violations(page) == []
        await field.press("Escape")
        await expect(servers).to_have_count(0)
        await field.press_sequentially("nowhere:x and on")
        await field.press("Enter")
        await expect(page.get_by_text("@nowhere:x and on").first).to_be_visible()
