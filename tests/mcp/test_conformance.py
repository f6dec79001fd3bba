"""The protocol's own suite of conformance: every scenario for clients of a revision, one after another."""

import asyncio
import os
import re
import shutil
import sys
import tomllib

import pytest
from tests.mcp.workshop import HERE

EXPECTED = tomllib.loads((HERE / "conformance.toml").read_text(encoding="utf-8"))
SUITE = HERE / "node_modules" / "@modelcontextprotocol" / "conformance"


async def suite(*words: str) -> tuple[int, str]:
    node = shutil.which("node")
    if node is None or not SUITE.exists():
        pytest.skip(f"NOT TESTED: the suite of conformance needs node and `npm ci` in {HERE}")
    process = await asyncio.create_subprocess_exec(
        node,
        str(HERE / "conformance.mjs"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "NO_COLOR": "1"},  # noqa: TID251
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode("utf-8", "replace")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_every_scenario_that_a_revision_requires(revision: str) -> None:
    _, listed = await suite("list", "--client")
    found = re.findall(r"- (\S+) \[(.*)\]", listed)
    names = [name for name, revisions in found if revision in revisions.split(",")]
    client = f"{sys.executable} {HERE / 'conformance_client.py'}"

    failed = {}
    for name in names:
        words = ("--scenario", name, "--spec-version", revision, "--command", client, "--timeout", "90000")
        code, output = await suite("client", *words)
        if code:
            failed[name] = output[-2000:]

    assert len(names) >= 19
    assert failed.keys() == EXPECTED.keys(), failed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_every_scenario_for_servers(revision: str) -> None:
    """Against tools of the suite's own, served as Portal's servers are. Extensions are nobody's duty."""
    expected = tomllib.loads((HERE / "conformance_server.toml").read_text(encoding="utf-8"))
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "conformance_server.py"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},  # noqa: TID251
    )
    try:
        assert server.stdout is not None
        port = int(await server.stdout.readline())
        url = f"http://127.0.0.1:{port}/mcp"
        _, output = await suite("server", "--url", url, "--requirements", revision)
    finally:
        server.terminate()
        await server.wait()

    results = dict(re.findall(r"^([\w-]+): \d+ passed, (\d+) failed", re.sub(r"^[✓✗] ", "", output, flags=re.M), re.M))
    failed = {name for name, count in results.items() if count != "0" and name != "Total" and name[:6] != "tasks-"}
    assert len(results) >= 30
    assert failed == {name for name, one in expected.items() if revision in one["revisions"]}, output[-4000:]
