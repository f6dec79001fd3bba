"""A real engine: node-llama-cpp where `npm ci` was run in this folder."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TINY = HERE.parent / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"


@pytest.fixture
def node_with() -> Callable[[str], str]:
    """The node program, where a package of npm is installed here; else the test is skipped, loudly."""

    def find(package: str) -> str:
        node = shutil.which("node")
        if node is None or not (HERE / "node_modules" / package).exists():
            pytest.skip(f"NOT TESTED: {package} needs node and `npm ci` in {HERE}")
        return node

    return find


@asynccontextmanager
async def serving(node: str, *words: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        node, str(HERE / "server.mjs"), str(TINY), *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@pytest.fixture
async def engine_url(node_with: Callable[[str], str]) -> AsyncIterator[str]:
    """A server with OpenAI's API and a real engine behind it."""
    async with serving(node_with("node-llama-cpp")) as url:
        yield url


@pytest.fixture
async def plain_engine_url(node_with: Callable[[str], str]) -> AsyncIterator[str]:
    """One that knows no tools, but holds an answer to a schema."""
    async with serving(node_with("node-llama-cpp"), "--plain") as url:
        yield url
