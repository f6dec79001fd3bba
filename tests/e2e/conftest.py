"""One Chromium for all tests of the page; each test gets contexts, a Portal and a data folder of its own.

The browser lives in the session's event loop, so every module here says `pytestmark = in_browser_loop`.
"""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from tests.e2e.browser import IN_FULL, Visiting, open_chromium, open_visit
from tests.e2e.standing import Opening, open_standing


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with open_chromium() as browser:
        yield browser


@pytest.fixture
def visiting(chromium: Browser, tmp_path: Path) -> Visiting:
    """`async with visiting(backend=...) as visit`: a signed-in page on a Portal of its own."""
    return partial(open_visit, chromium, tmp_path)


@pytest.fixture(params=["alone", pytest.param("three", marks=IN_FULL)])
def standing(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """`async with standing(backend=url) as servers`: what is killed."""
    database = request.getfixturevalue("postgres").database() if request.param == "three" else ""
    return partial(open_standing, tmp_path, database)
