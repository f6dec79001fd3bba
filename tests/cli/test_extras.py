"""`portal extra` where a launcher made the environment, and where pip did."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from tests.cli.conftest import Installation

from portal.extras import EXTRAS, add_command, installer, is_installed, launcher, requirements

NOT_HERE = "embedded"


def environment(folder: Path) -> Path:
    """One that has all of this one's packages and no pip."""
    venv.create(folder, symlinks=True)
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    packages_here = sysconfig.get_path("purelib")
    line = f"import sys, site; sys.modules['pip'] = None; site.addsitedir({packages_here!r})\n"
    (packages / "these.pth").write_text(line, encoding="utf-8")
    return folder / "bin/python"


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def run(python: Path, installation: Installation, *words: str, path: str) -> "subprocess.CompletedProcess[str]":
    command = [str(python), "-P", "-m", "portal", "extra", *words]
    env = installation.env | {"PATH": path}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_list_says_what_is_there(installation: Installation) -> None:
    done = installation.run("extra")

    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines.keys() == EXTRAS.keys()
    assert "installed" in lines["documents"]
    assert is_installed(NOT_HERE) or "60 MB" in lines[NOT_HERE]
    assert "There is no extra docs. There are: browser" in installation.run("extra", "docs").stderr


def test_with_pip_or_uv_the_packages_are_installed(installation: Installation, tmp_path: Path) -> None:
    python = environment(tmp_path / "env")
    tools = tmp_path / "tools"
    program(tools / "uv", '#!/bin/sh\necho "$@"\ncase $* in *sympy*) exit 3 ;; esac\n')

    done = run(python, installation, "mcp", path=str(tools))
    assert f"pip install --python {python} mcp>=" in done.stderr
    assert done.stdout == "Added: mcp\n"
    assert "with exit code 3" in run(python, installation, "data", path=str(tools)).stderr
    assert "neither uv nor pip" in run(python, installation, "mcp", path="").stderr
    refused = run(python, installation, "--remove", "mcp", path=str(tools))
    assert "use pip uninstall. It was: mcp>=" in refused.stderr


def test_an_environment_of_the_launcher_is_changed_by_it(shared: Installation, tmp_path: Path) -> None:
    checkout = tmp_path / "my portal"
    python = environment(checkout / ".venv")
    (checkout / ".venv/.portal").mkdir()
    program(checkout / "launch.sh", "#!/bin/sh\n")
    program(checkout / "scripts/bootstrap.py", "import sys\nprint(sys.argv[1:])\n")

    added = run(python, shared, "data", "mcp", path="/usr/bin")
    assert "['add', 'data', 'mcp']" in added.stderr
    assert "Portal is running: portal down, then portal up" in added.stderr
    assert "['remove', 'mcp']" in run(python, shared, "--remove", "mcp", path="/usr/bin").stderr
    ask = "from portal.extras import add_command; print(add_command('data'))"
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert said == f"'{checkout}/launch.sh' extra data\n"


def test_messages_name_the_command_that_works_here() -> None:
    made_by = launcher()
    assert add_command("data") == f"{made_by or 'portal'} extra data"
    assert (made_by is None) == (not Path(sys.prefix, ".portal").is_dir())


def test_an_extra_is_what_the_package_says() -> None:
    assert [one.partition(">")[0] for one in requirements("search")] == ["ddgs"]
    assert any("sys_platform" in one and "extra" not in one for one in requirements("test"))
    assert requirements("data", "aiohttp") == []


@pytest.mark.parametrize("uv", ["/bin/uv", None])
def test_uv_is_taken_where_it_is(uv: str | None) -> None:
    assert (installer(lambda name: uv) or ("",))[0] in (uv, sys.executable, "")
