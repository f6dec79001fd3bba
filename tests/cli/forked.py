"""Commands in processes of their own that need not load what every command does: they are forked off a process that
has. With what they are given and what they say in files, since nothing else is inherited."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from coverage import Coverage

from portal.cli import COMMANDS

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "portal.app",
        "portal.cli.serve",
        "portal.storage.open",
        "portal.interfaces.web.views",
        *(f"portal.cli.{place.partition(':')[0]}" for place in COMMANDS.values()),
    ]
)


def run(
    words: Sequence[str], *, env: Mapping[str, str], stdin: str | None, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """`portal` with these words. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        (folder / "in").write_text(stdin or "", encoding="utf-8")
        process = _FORKS.Process(target=_command, args=(words, dict(env), Path.cwd(), folder))
        process.start()
        process.join(timeout)
        late = process.is_alive()
        if late:
            process.kill()
            process.join()
        said, complaints = ((folder / name).read_text(encoding="utf-8") for name in ("out", "err"))
    if late:
        raise subprocess.TimeoutExpired(["portal", *words], timeout, said, complaints)
    assert process.exitcode is not None
    return subprocess.CompletedProcess(["portal", *words], process.exitcode, said, complaints)


class Running:
    """A command that goes on, as subprocess.Popen has it; `stdout` is all it says."""

    def __init__(self, words: Sequence[str], *, env: Mapping[str, str]) -> None:
        self.words = words
        self._named = tempfile.TemporaryDirectory()
        folder = Path(self._named.name)
        (folder / "in").touch()
        os.mkfifo(folder / "out")
        (folder / "err").symlink_to("out")
        self._process = _FORKS.Process(target=_command, args=(words, dict(env), Path.cwd(), folder))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stdout = (folder / "out").open(encoding="utf-8")

    def poll(self) -> int | None:
        """How it ended, if it did: minus a number for the signal of that number."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """How it ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(["portal", *self.words], timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Kill it if it is there; nothing is left."""
        self.send_signal(signal.SIGKILL)
        self.wait()
        self.stdout.close()
        self._named.cleanup()


def _command(words: Sequence[str], env: Mapping[str, str], cwd: Path, folder: Path) -> None:
    for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        os.dup2(os.open(folder / name, flags | os.O_CREAT, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, encoding="utf-8") for number, mode in enumerate("rww"))
    os.environ.clear()  # noqa: TID251
    os.environ.update(env)  # noqa: TID251
    os.chdir(cwd)
    sys.argv = ["portal", *words]
    from portal.cli import main

    try:
        main()
    finally:
        if (measuring := Coverage.current()) is not None:
            measuring.stop()
            measuring.save()
