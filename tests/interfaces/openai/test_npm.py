"""The official `openai` package of npm against a running Portal."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PACKAGE = "openai@7.57.0"


async def run(*command, cwd):
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return output


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.timeout(300)
async def test_a_script(portal, backend, tmp_path):
    for word in ("One", "Two", "Three", "Four"):
        backend.answer(word)
    shutil.copy(Path(__file__).with_name("client.mjs"), tmp_path)
    await run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(tmp_path), PACKAGE, cwd=tmp_path)
    got = json.loads(await run("node", "client.mjs", portal.url, portal.key, cwd=tmp_path))
    assert got == {
        "response": "One",
        "responseStream": "Two",
        "chat": "Three",
        "chatStream": "Four",
        "content": "hello",
        "dimensions": 8,
        "items": ["Hi"],
        "models": True,
        "unknown": "model_not_found",
    }
