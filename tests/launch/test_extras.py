"""Extras of a checkout: added from their lock files, remembered, removed; with uv and with pip, from a local index."""

import base64
import hashlib
import re
import subprocess
import tomllib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.launch.conftest import ROOT, Checkout

from portal.extras import EXTRAS


def a_wheel(folder: Path, name: str) -> str:
    """Made in `folder`; its line of a lock file."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in files.items():
            wheel.writestr(inside, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{inside},sha256={digest},{len(text)}\n")
        wheel.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@dataclass(frozen=True, kw_only=True)
class Small:
    """A checkout whose lock files hold a few tiny packages, with a Portal that says what it finds of them."""

    checkout: Checkout
    index: Path

    def prepare(self) -> None:
        self.index.mkdir()
        lines = {name: a_wheel(self.index, name) for name in ("click", "shared", "pages", "charts")}
        self.lock("core", lines["click"])
        self.lock("extra-documents", lines["click"] + lines["shared"] + lines["pages"])
        self.lock("extra-data", lines["shared"] + lines["charts"])
        self.lock("extra-search", "nowhere==1.0 --hash=sha256:" + "0" * 64 + "\n")
        package = self.checkout.folder / "src/portal"
        (package / "__main__.py").write_text(
            "from importlib.util import find_spec\n"
            "print(*(name for name in ('click', 'shared', 'pages', 'charts') if find_spec(name)))\n",
            encoding="utf-8",
        )

    def lock(self, kind: str, text: str) -> None:
        (self.checkout.folder / f"requirements/{kind}.lock").write_text(text, encoding="utf-8")

    def env(self) -> dict[str, str]:
        links = str(self.index)
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "UV_NO_INDEX": "1", "UV_FIND_LINKS": links}
        return {**offline, "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CACHE": "1"}

    def start(self) -> "subprocess.CompletedProcess[str]":
        return self.checkout.run("anything", **self.env())

    def found(self) -> str:
        done = self.start()
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def change(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.checkout.folder / ".venv/bin/python"), "-E", "-s"]
        command += [str(self.checkout.folder / "scripts/bootstrap.py"), *words]
        env = self.checkout.env(**self.env())
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("installer", ["pip", pytest.param("uv", marks=pytest.mark.slow)])
def test_extras_are_added_remembered_and_removed(
    checkout: Checkout, tmp_path: Path, installer: str, request: pytest.FixtureRequest
) -> None:
    if installer == "uv":
        checkout = replace(checkout, path=[request.getfixturevalue("uv"), *checkout.path])
    small = Small(checkout=checkout, index=tmp_path / "index")
    small.prepare()
    chosen = checkout.folder / ".extras"
    assert small.found() == "click"

    assert small.change("add", "documents", "data").returncode == 0
    assert small.found() == "click shared pages charts"
    failed = small.change("add", "search")
    assert failed.returncode == 1
    assert "failed with exit code" in failed.stderr
    assert chosen.read_text(encoding="utf-8") == "documents\ndata\n"

    assert small.change("remove", "documents").returncode == 0
    assert small.found() == "click shared charts"
    again = small.change("remove", "documents")
    assert (again.returncode, "Not among the extras" in again.stderr) == (1, True)

    chosen.write_text("data\nsearch\nof-a-later-version\n", encoding="utf-8")
    small.lock("core", (checkout.folder / "requirements/core.lock").read_text(encoding="utf-8") + "# changed\n")
    (checkout.folder / ".venv/.portal/unfinished").touch()  # as an interruption leaves it: all of it is made again
    began = small.start()
    assert "Going on without the extra search" in began.stderr
    assert began.stdout.strip() == "click shared charts"
    assert small.start().stderr == ""


@pytest.mark.slow
def test_an_environment_of_uv_goes_on_with_pip(checkout: Checkout, tmp_path: Path, uv: Path) -> None:
    without = Small(checkout=checkout, index=tmp_path / "index")
    without.prepare()
    with_uv = replace(without, checkout=replace(checkout, path=[uv, *checkout.path]))
    assert with_uv.found() == "click"

    assert without.change("add", "documents").returncode == 0

    assert without.found() == "click shared pages"
    assert without.change("add", "nonsense").returncode == 2


def test_every_extra_is_known_and_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = (ROOT / "docs/getting-started.md").read_text(encoding="utf-8")
    named = set(project["optional-dependencies"]) - {"test"}

    assert set(EXTRAS) == named
    assert re.findall(r"^\| `(\w+)` \| .* \| (\d+) MB \|$", table, re.MULTILINE) == [
        (name, str(extra.megabytes)) for name, extra in EXTRAS.items()
    ]
    assert {path.stem.removeprefix("extra-") for path in (ROOT / "requirements").glob("extra-*.lock")} == named
