"""A whole errand as a person gives it: real tools, a real repository, the real sandbox; a yes where one is wanted."""

import re
from pathlib import Path
from typing import Any

import kreuzberg
import pytest
from openai import AsyncOpenAI
from tests.e2e.browser import Visiting, expect, in_browser_loop
from tests.e2e.errand import ERRAND, LAST_WEEK, repository, runner

from portal.security.sandbox.choice import find_sandbox
from portal.settings import Settings
from portal.testing.portal import open_test_portal

SAID = (
    f"{sum(LAST_WEEK.values())} commits on {len(LAST_WEEK)} days, the newest is 'Note 1 of day 0'. "
    "The chart is in commits.pdf."
)


@pytest.fixture
async def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of a person who granted one folder, which is a repository."""
    folder = tmp_path_factory.mktemp("person")
    sandbox = await find_sandbox(Settings(data_dir=folder / "nowhere"))
    if sandbox.refusal():
        pytest.skip(f"NOT TESTED: {sandbox.refusal()}")
    return {"tools": {"folders": [repository(folder / "project")]}}


async def check(pdf: bytes) -> None:
    """A PDF of one page: the chart, with its days and whole numbers beside it."""
    assert pdf.startswith(b"%PDF-")
    config = kreuzberg.ExtractionConfig(use_cache=False, pages=kreuzberg.PageConfig(extract_pages=True))
    found = await kreuzberg.extract_bytes(pdf, "application/pdf", config=config)
    assert found.get_page_count() == 1
    assert "Commits per day" in found.content
    assert len(set(re.findall(r"\d{4}-\d{2}-\d{2}", found.content))) == len(LAST_WEEK)
    numbers = [line for line in found.content.splitlines() if re.fullmatch(r"[\d.]+", line)]
    assert numbers == [str(number) for number in range(max(LAST_WEEK.values()) + 1)]


@in_browser_loop
async def test_on_the_page(visiting: Visiting, settings: dict[str, Any], tmp_path: Path) -> None:
    async with visiting(backend=runner(), toolsets=None, settings=settings, at="/?model=auto") as visit:
        page = visit.page
        await visit.ask(ERRAND)
        question = page.get_by_role("region", name="Allow run_python?")
        await expect(question).to_contain_text("collections.Counter")
        await question.get_by_role("button", name="Allow once").click()
        await expect(page.locator(".answer").get_by_text(SAID, exact=True)).to_be_visible()
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="commits.pdf").click()
        download = await downloading.value
        assert download.suggested_filename == "commits.pdf"
        await download.save_as(tmp_path / "got.pdf")
        await check((tmp_path / "got.pdf").read_bytes())


async def test_over_the_api(settings: dict[str, Any], tmp_path: Path) -> None:
    async with (
        open_test_portal(tmp_path / "data", backends=[runner()], toolsets=None, settings=settings) as portal,
        AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key) as client,
    ):
        asked = await client.responses.create(model="auto", input=ERRAND)
        assert asked.incomplete_details is not None
        assert asked.incomplete_details.reason == "approval_required"
        (question,) = [item for item in asked.output if item.type == "mcp_approval_request"]
        assert question.name == "run_python"
        done = await client.responses.create(
            model="auto",
            previous_response_id=asked.id,
            input=[{"type": "mcp_approval_response", "approval_request_id": question.id, "approve": True}],
        )
        assert (done.status, done.output_text) == ("completed", SAID)
        ran, drawn = [item for item in done.output if item.type == "mcp_call"]
        assert (ran.name, ran.error, drawn.name, drawn.error) == ("run_python", None, "make_chart", None)
        assert drawn.model_extra is not None
        (file,) = drawn.model_extra["portal:files"]
        content = await client.files.content(file["file_id"])
        await check(content.read())
