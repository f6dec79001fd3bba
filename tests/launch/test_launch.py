"""The launcher as a stranger meets it: a fresh copy, an empty home, whatever Python there is."""

import http.client
import re
import shutil
import signal
import subprocess
import venv
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.launch.conftest import Checkout

from portal import __version__


def without_python(checkout: Checkout, tmp_path: Path) -> dict[str, str]:
    """A PATH with the few tools that the launcher itself uses."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "readlink", "cmp", "env"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    return {"PATH": str(tools)}


def test_without_a_python_it_says_what_to_install(checkout: Checkout, tmp_path: Path) -> None:
    done = checkout.run("up", **without_python(checkout, tmp_path))

    assert done.returncode == 1
    assert "Portal needs Python 3.11 or newer" in done.stderr
    assert "stopped before Portal was started" in done.stderr


@pytest.mark.parametrize(
    ("part", "said"), [("tomllib", "with all of its library"), ("venv", "This Python has no venv module")]
)
def test_a_python_without_a_part_of_its_library_is_told_what_to_install(
    checkout: Checkout, tmp_path: Path, part: str, said: str
) -> None:
    venv.create(tmp_path / "part", with_pip=False, symlinks=True)
    packages = next((tmp_path / "part/lib").glob("python3*")) / "site-packages"
    lacking = f"import sys\nsys.modules[{part!r}] = None\n"
    (packages / "sitecustomize.py").write_text(lacking, encoding="utf-8")
    env = without_python(checkout, tmp_path)
    env["PATH"] += f":{tmp_path / 'part/bin'}"

    done = checkout.run("up", **env)

    assert done.returncode == 1
    assert said in done.stderr
    assert re.search(r"apt install .*python3-venv", done.stderr)
    assert "Traceback" not in done.stderr


def test_called_through_sh_it_does_the_same(checkout: Checkout, tmp_path: Path) -> None:
    command = ["sh", "launch.sh", "up"]
    env = checkout.env(**without_python(checkout, tmp_path))

    done = subprocess.run(command, cwd=checkout.folder, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "Portal needs Python 3.11" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_index_that_cannot_be_reached_is_told_and_tried_again(checkout: Checkout) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}

    for _ in range(2):
        done = checkout.run("up", **nowhere)
        assert done.returncode == 1
        assert "environment could not be made" in done.stderr
        assert "Traceback" not in done.stderr
    assert "beginning again" in done.stderr


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_commands_with_pip_alone(checkout: Checkout) -> None:
    first = checkout.run("up", "--detach", "--port", "0")

    assert first.returncode == 0, first.stderr
    assert re.search(r"37/37|\d+/\d+ ", first.stderr)
    link = re.search(r"http://\S+/sign-in\?token=\S+", first.stdout)
    assert link
    address = urlsplit(link[0])
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.request("GET", f"{address.path}?{address.query}")
    assert connection.getresponse().status == 303
    assert "`./" not in first.stdout
    assert f"{checkout.folder}/launch.sh" in first.stdout
    key = checkout.run("keys", "create", "x")
    assert re.fullmatch(r"portal-\S+\n", key.stdout)
    assert key.stderr == ""
    assert checkout.run("down").returncode == 0
    tests = checkout.run("test", "-q", "tests/launch/test_pip_wheel.py")
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert " passed" in tests.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_python_without_pip_gets_one(checkout: Checkout, bare_pythons: Path) -> None:
    bare = Checkout(folder=checkout.folder, home=checkout.home, path=[bare_pythons])

    done = bare.run("version")

    assert done.returncode == 0, done.stderr
    assert "came without pip; fetching it from" in done.stderr
    assert done.stdout == f"{__version__}\n"


def test_where_no_pip_can_be_had_it_says_what_to_install(
    checkout: Checkout, bare_pythons: Path, tmp_path: Path
) -> None:
    env = without_python(checkout, tmp_path)
    env["PATH"] += f":{bare_pythons}"
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": "/dev/null"}

    done = checkout.run("up", **env, **nowhere)

    assert done.returncode == 1
    assert done.stderr.count("apt install python3-venv") == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_uv_it_is_quick_interruptions_are_mended_and_changes_are_followed(
    checkout: Checkout, uv: Path, tmp_path: Path
) -> None:
    with_uv = Checkout(folder=checkout.folder, home=checkout.home, path=[uv, *checkout.path])
    began = subprocess.Popen(with_uv.command("version"), env=with_uv.env(), stderr=subprocess.PIPE, text=True)
    assert began.stderr is not None
    assert "Setting up" in began.stderr.readline()
    began.send_signal(signal.SIGTERM)
    assert "Set-up was stopped" in began.communicate()[1]
    assert began.returncode == 130
    for process in (1, 2):
        done = with_uv.run("version")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{__version__}\n"
        assert ("Environment ready" in done.stderr) == (process == 1)
    two = [subprocess.Popen(with_uv.command("version"), env=with_uv.env(), stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0] for process in two] == [f"{__version__}\n".encode()] * 2

    assert "Added: slack" in with_uv.run("extra", "slack").stdout
    added = with_uv.run("extra", "postgres")
    assert added.stdout == "Added: postgres\n", added.stderr
    assert re.search(r"^postgres +installed", with_uv.run("extra").stdout, re.MULTILINE)
    assert with_uv.run("extra", "--remove", "postgres").returncode == 0
    listed = with_uv.run("extra").stdout
    assert re.search(r"^postgres +12 MB", listed, re.MULTILINE)
    assert re.search(r"^slack +installed", listed, re.MULTILINE)

    lock = checkout.folder / "requirements/core.lock"
    lock.write_text(lock.read_text(encoding="utf-8") + "# a change\n", encoding="utf-8")
    assert "Environment ready" in with_uv.run("version").stderr
    assert with_uv.run("version").stderr == ""

    lock.write_text(
        re.sub(r"onnxruntime==\S+", "onnxruntime==0.0.1", lock.read_text(encoding="utf-8")), encoding="utf-8"
    )
    done = with_uv.run("version")
    assert "by their words alone" in done.stderr
    assert done.stdout == f"{__version__}\n"

    (checkout.folder / ".env").write_text("PORTAL_SERVER__PORT=8123\n", encoding="utf-8")
    link = tmp_path / "portal-link"
    link.symlink_to(checkout.folder / "launch.sh")
    shown = subprocess.run(
        [link, "config", "show"], env=with_uv.env(), cwd="/", capture_output=True, text=True, check=True
    )
    assert "* server.port = 8123" in shown.stdout

    moved = tmp_path / "moved"
    checkout.folder.rename(moved)
    elsewhere = Checkout(folder=moved, home=checkout.home, path=with_uv.path)
    assert elsewhere.run("version").stdout == f"{__version__}\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_is_whole(checkout: Checkout, uv: Path, tmp_path: Path) -> None:
    env = checkout.env(PATH=f"{uv}:{checkout.path[0]}:/usr/bin:/bin")
    build = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "dist")]
    subprocess.run(build, cwd=checkout.folder, env=env, check=True, capture_output=True)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    subprocess.run(["uv", "venv", "--quiet", str(tmp_path / "env")], env=env, check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", str(tmp_path / "env/bin/python"), str(wheel)]
    subprocess.run(install, env=env, check=True)
    portal = str(tmp_path / "env/bin/portal")

    up = subprocess.run([portal, "up", "--detach", "--port", "0"], env=env, capture_output=True, text=True, check=False)
    asked = subprocess.run(
        [portal, "ask", "-m", "portal-guide", "How do I make an API key?"],
        stdin=subprocess.DEVNULL,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    down = subprocess.run([portal, "down"], env=env, check=False)

    assert up.returncode == 0, up.stderr
    assert "key" in asked.stdout
    assert down.returncode == 0
