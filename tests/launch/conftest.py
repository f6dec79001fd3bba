"""Fresh copies of the checkout, an empty home, and Pythons that lack what Debian's may lack."""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of the project as `git clone` makes it, and a person with an empty home who runs its launcher."""

    folder: Path
    home: Path
    path: Sequence[Path]

    def command(self, *words: str) -> list[str]:
        return [str(self.folder / "launch.sh"), *words]

    def env(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}  # noqa: TID251
        path = os.pathsep.join(map(str, [*self.path, "/usr/bin", "/bin"]))
        ours = {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "PORTAL_DISCOVERY__ENABLED": "false"}
        return kept | ours | more

    def run(self, *words: str, cwd: Path | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.env(**env),
            cwd=cwd or self.home,
            timeout=600,
            check=False,
        )


def _base_python() -> str:
    """The Python behind this environment's own."""
    ask = "import sys; print(sys._base_executable)"
    return subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that holds a Python and nothing else."""
    folder = tmp_path_factory.mktemp("pythons")
    (folder / "python3").symlink_to(_base_python())
    return folder


@pytest.fixture(scope="session")
def bare_pythons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a Python that came without ensurepip and pip."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    lacking = "import sys\nsys.modules['ensurepip'] = sys.modules['pip'] = None\n"
    (packages / "sitecustomize.py").write_text(lacking, encoding="utf-8")
    return folder / "bin"


@pytest.fixture(scope="session")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that holds uv."""
    folder = tmp_path_factory.mktemp("uv")
    subprocess.run([_base_python(), "-m", "venv", str(folder / "env")], check=True, capture_output=True)
    command = [str(folder / "env/bin/python"), "-m", "pip", "install", "--quiet", "uv"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "bin").mkdir()
    (folder / "bin/uv").symlink_to(folder / "env/bin/uv")
    return folder / "bin"


@pytest.fixture
def checkout(tmp_path: Path, pythons: Path) -> Iterator[Checkout]:
    """With the changes of this working copy, committed or not; the folder's name has a space."""
    folder, home = tmp_path / "my portal", tmp_path / "home"
    home.mkdir()
    folder.mkdir()
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    there = b"\0".join(name for name in names if name and (ROOT / name.decode()).is_file())
    pack = ["tar", "-c", "--null", "-T", "-"]
    packed = subprocess.run(pack, cwd=ROOT, input=there, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=packed, check=True)
    made = Checkout(folder=folder, home=home, path=[pythons])
    yield made
    if (folder / ".venv/.portal/core.lock").exists():
        made.run("down")
