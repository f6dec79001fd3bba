from pathlib import Path

import pytest

from portal.core.sandbox import SandboxJob
from portal.errors import ToolError
from portal.testing.plain_sandbox import PlainSandbox


async def test_it_runs_in_the_folder_with_what_it_is_given(tmp_path: Path) -> None:
    script = "cat; echo $WORD; pwd; echo no >&2; exit 4"
    job = SandboxJob(argv=["sh", "-c", script], folder=tmp_path / "new", stdin=b"in ", environment={"WORD": "word"})

    result = await PlainSandbox(unsafe=True).run(job)

    assert (result.code, result.stdout, result.stderr) == (4, f"in word\n{tmp_path}/new\n".encode(), b"no\n")
    assert (result.killed, result.cut) == ("", False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": []},
        {"argv": ["nul\0l"]},
        {"folder": Path("relative")},
        {"readable": [Path("/no/such/folder")]},
        {"seconds": 0},
        {"disk": -1},
    ],
)
async def test_it_is_strict_about_jobs(tmp_path: Path, wrong: dict[str, object]) -> None:
    job = SandboxJob(**{"argv": ["true"], "folder": tmp_path, **wrong})  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=r"command line|absolute|more than nothing"):
        await PlainSandbox(unsafe=True).run(job)


async def test_it_can_be_a_machine_where_nothing_is_safe(tmp_path: Path) -> None:
    sandbox = PlainSandbox(unsafe=True, refusal="install bubblewrap")

    assert sandbox.refusal() == "install bubblewrap"
    with pytest.raises(ToolError, match="install bubblewrap"):
        await sandbox.run(SandboxJob(argv=["true"], folder=tmp_path))
    assert sandbox.jobs == []


def test_it_must_be_asked_for() -> None:
    with pytest.raises(ValueError, match="isolates nothing"):
        PlainSandbox(unsafe=False)
