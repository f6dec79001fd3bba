"""Make Portal's environment, `.venv` in the checkout, from a lock file. Standard library only.

    python scripts/bootstrap.py core|test [COMMAND ...]    # which is run in place of this at the end
    python scripts/bootstrap.py add|remove EXTRA ...       # in an environment that is there

Extras that were added are remembered in `.extras`, and installed with whatever environment is made.

Uses uv where it is installed, else venv and pip, else a pip wheel from the package index or Debian's archive.
Everything is said on standard error. A set-up that was interrupted is begun again by the next one; two at a time
wait for each other.
"""

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pip_wheel import pip_wheel

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / ".portal"
UNFINISHED = STATE / "unfinished"
CHOSEN = ROOT / ".extras"
MANUAL_WAY = "install what is missing once with `apt install python3-venv`, then run this again"


class SetupError(RuntimeError):
    """The environment cannot be made; the message says what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def lock_file(kind: str) -> Path:
    return ROOT / "requirements" / f"{kind}.lock"


def stamp(kind: str) -> Path:
    """The copy of a lock file that says: this is what is installed."""
    return STATE / f"{kind}.lock"


def is_installed(kind: str) -> bool:
    return stamp(kind).is_file() and stamp(kind).read_bytes() == lock_file(kind).read_bytes()


def kind_of(extra: str) -> str:
    return f"extra-{extra}"


def chosen() -> list[str]:
    """The extras that were added, but for those that this version does not have."""
    names = CHOSEN.read_text(encoding="utf-8").split() if CHOSEN.exists() else []
    return [name for name in names if lock_file(kind_of(name)).is_file()]


def choose(names: list[str]) -> None:
    CHOSEN.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[int]:
    """Hold the checkout's folder. Children inherit the hold, so one that outlives us keeps others out."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is running in this folder; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def run(hold: int, *command: str | Path, on_line: Callable[[str], None] | None = None) -> None:
    """Run to the end; its output goes to standard error, or line by line to `on_line`.

    Raises:
        SetupError: it failed; carries the end of what it said.
    """
    arguments = [str(part) for part in command]
    output = subprocess.PIPE if on_line else sys.stderr.fileno()
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True, pass_fds=(hold,)
    )
    said: list[str] = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if on_line:
                on_line(line)
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code:
        raise SetupError(f"{''.join(said[-15:])}`{' '.join(arguments[:4])} ...` failed with exit code {code}")


# --- the environment -------------------------------------------------------------------------------------------


def reusable() -> bool:
    """Is there a whole environment with a Python that runs and is new enough?"""
    if UNFINISHED.exists() or not PYTHON.exists():
        return False
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([PYTHON, "-I", "-c", check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def create(hold: int, uv: str | None) -> None:
    if VENV.exists():
        say("The environment in .venv is unfinished or broken: beginning again.")
        shutil.rmtree(VENV)
    STATE.mkdir(parents=True)
    UNFINISHED.touch()
    if uv:
        run(hold, uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, VENV)
        return
    if importlib.util.find_spec("venv") is None:
        raise SetupError(f"This Python has no venv module; {MANUAL_WAY}")
    run(hold, sys.executable, "-m", "venv", "--without-pip", VENV)


def installer(hold: int) -> str | None:
    """uv where there is one; else None, with pip in the environment: one that uv made has none."""
    uv = shutil.which("uv")
    if uv is None:
        give_pip(hold)
    return uv


def give_pip(hold: int) -> None:
    if subprocess.run([PYTHON, "-I", "-c", "import pip"], capture_output=True, check=False).returncode == 0:
        return
    if importlib.util.find_spec("ensurepip") is not None:
        run(hold, PYTHON, "-I", "-m", "ensurepip", "--default-pip", on_line=ignore)
        return
    with tempfile.TemporaryDirectory() as folder:
        quietly = partial(run, hold, on_line=ignore)
        try:
            wheel = pip_wheel(Path(folder), run=quietly, say=say)
        except RuntimeError as error:
            raise SetupError(f"{error}; {MANUAL_WAY}") from error
        quietly(PYTHON, wheel / "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)


def ignore(line: str) -> None:
    """Keep a line for the error message only."""


def install(hold: int, uv: str | None, kind: str) -> None:
    lock = lock_file(kind)
    if uv:
        run(hold, uv, "pip", "install", "--python", PYTHON, "--require-hashes", "--compile-bytecode", "-r", lock)
        return
    total = len(re.findall(r"^[A-Za-z0-9]", lock.read_text(encoding="utf-8"), re.MULTILINE))
    arguments = ("install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--require-hashes")
    run(hold, PYTHON, "-m", "pip", *arguments, "-r", lock, on_line=PipProgress(total))


class PipProgress:
    """Tells a person how far pip is: one line, rewritten on a terminal."""

    def __init__(self, total: int) -> None:
        self.total, self.seen = total, 0

    def __call__(self, line: str) -> None:
        if line.startswith("Collecting "):
            self.seen += 1
            self.show(f"  {self.seen}/{self.total} {line.split()[1]}")
        elif line.startswith("Installing collected packages"):
            self.show("  unpacking\n")

    def show(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()
        else:
            say(text.rstrip())


def link_source() -> None:
    """Install Portal itself: the checkout's own source, the `portal` command, and the metadata of pyproject.toml."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    answer = subprocess.run([PYTHON, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout
    packages = Path(answer.strip())
    (packages / "portal.pth").write_text(os.path.relpath(ROOT / "src", packages) + "\n", encoding="utf-8")
    command = VENV / "bin" / "portal"
    command.write_text(f'#!/bin/sh\nexec "{PYTHON}" -I -m portal "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    write_metadata(packages)


def write_metadata(packages: Path) -> None:
    """What an installer would write for an editable install, so that `importlib.metadata` and pip know Portal."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    init = (ROOT / "src" / "portal" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', init)
    lines = ["Metadata-Version: 2.4", "Name: portal", f"Version: {version[1] if version else '0'}"]
    lines += [f"Requires-Dist: {wanted}" for wanted in project["dependencies"]]
    for extra, wanted in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f"Requires-Dist: {with_extra(one, extra)}" for one in wanted]
    for old in packages.glob("portal-*.dist-info"):
        shutil.rmtree(old)
    folder = packages / f"portal-{version[1] if version else '0'}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "INSTALLER").write_text("portal\n", encoding="utf-8")
    wheel = "Wheel-Version: 1.0\nGenerator: portal\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    (folder / "WHEEL").write_text(wheel, encoding="utf-8")
    files = ("portal.pth", *(f"{folder.name}/{name}" for name in ("METADATA", "INSTALLER", "WHEEL", "RECORD")))
    (folder / "RECORD").write_text("".join(f"{name},,\n" for name in files), encoding="utf-8")


def with_extra(requirement: str, extra: str) -> str:
    name, _, marker = requirement.partition(";")
    return f"{name.strip()} ; ({marker.strip()}) and extra == '{extra}'" if marker else f"{name} ; extra == '{extra}'"


def prepare(hold: int, kind: str) -> None:
    started = time.monotonic()
    uv = shutil.which("uv")
    say(f"Setting up Portal's environment in {VENV} with {'uv' if uv else 'pip'}; this happens once.")
    if not reusable():
        create(hold, uv)
    installer(hold)
    STATE.mkdir(exist_ok=True)
    UNFINISHED.touch()
    for old in STATE.glob("*.lock"):
        old.unlink()
    try:
        install(hold, uv, kind)
    except SetupError as error:
        if kind != "core":
            raise
        say(f"{error}\nTrying without the embedded embedder: documents are then found by their words alone.")
        install(hold, uv, "bare")  # some systems have no onnxruntime: musl, Macs with Intel processors
    link_source()
    for done in ("core", kind):  # the test lock holds everything of the core's, in the same versions
        shutil.copyfile(lock_file(done), stamp(done))
    UNFINISHED.unlink()
    say(f"Environment ready after {time.monotonic() - started:.0f} s.")


# --- extras ----------------------------------------------------------------------------------------------------


def add(hold: int, names: list[str]) -> None:
    """Install them, each from its lock file, and remember those that succeeded."""
    for name in names:
        say(f"Adding {name}.")
        install(hold, installer(hold), kind_of(name))
        shutil.copyfile(lock_file(kind_of(name)), stamp(kind_of(name)))
        choose([*(other for other in chosen() if other != name), name])


def renew(hold: int) -> None:
    """Install the chosen ones again where their lock files changed. One that fails keeps nobody from starting."""
    for name in chosen():
        if is_installed(kind_of(name)):
            continue
        try:
            add(hold, [name])
        except SetupError as error:
            say(f"{error}\nGoing on without the extra {name}. To try again: ./launch.sh extra {name}")
            shutil.copyfile(lock_file(kind_of(name)), stamp(kind_of(name)))


def remove(hold: int, names: list[str]) -> None:
    """Forget them, and take away what nothing else here needs."""
    absent = [name for name in names if name not in chosen()]
    if absent:
        raise SetupError(f"Not among the extras that were added: {', '.join(absent)}")
    held = set().union(*(packages(lock_file(kind_of(name))) for name in names))
    choose([name for name in chosen() if name not in names])
    for name in names:
        stamp(kind_of(name)).unlink(missing_ok=True)
    gone = sorted(held.difference(*map(packages, STATE.glob("*.lock"))))
    uv = installer(hold) if gone else None
    if uv:
        run(hold, uv, "pip", "uninstall", "--python", PYTHON, *gone)
    elif gone:
        run(hold, PYTHON, "-m", "pip", "uninstall", "--yes", "--disable-pip-version-check", *gone)


def packages(lock: Path) -> set[str]:
    return set(re.findall(r"^[A-Za-z0-9][\w.-]*", lock.read_text(encoding="utf-8"), re.MULTILINE))


# --- the command -----------------------------------------------------------------------------------------------


def stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    what, rest = (arguments or [""])[0], arguments[1:]
    change = {"add": add, "remove": remove}.get(what)
    if not all(lock_file(kind).is_file() for kind in (map(kind_of, rest) if change else [what])):
        say("usage: bootstrap.py core|test [COMMAND ...], or add|remove EXTRA ...")
        return 2
    signal.signal(signal.SIGTERM, stop)
    try:
        with one_at_a_time() as hold:
            if change:
                change(hold, rest)
                return 0
            if not (PYTHON.exists() and is_installed(what)):
                prepare(hold, what)
            renew(hold)
    except KeyboardInterrupt:
        say("\nSet-up was stopped; the next start begins it again.")
        return 130
    except SetupError as error:
        say(f"{error}." if change else f"\nPortal's environment could not be made.\n{error}.")
        return 1
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"\nPortal's environment could not be made: {error}.")
        return 1
    if rest:
        os.execv(rest[0], rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
