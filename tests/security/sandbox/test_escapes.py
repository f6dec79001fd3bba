"""What hostile programs try, each of them really run: the table of attacks."""

import asyncio
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.security.sandbox.conftest import Run

from portal.errors import ToolError
from portal.security.sandbox.bubblewrap import Bubblewrap
from portal.security.sandbox.view import WORK

CALL = "import ctypes, os; call = ctypes.CDLL(None, use_errno=True).syscall; number = {}; "
REFUSED = "print(call(number, *{}), os.strerror(ctypes.get_errno()))"


def system_call(x86: int, arm: int, *arguments: int) -> str:
    """A program that makes it and says what came of it."""
    return CALL.format(f"{x86} if os.uname().machine == 'x86_64' else {arm}") + REFUSED.format(repr(arguments))


@dataclass(frozen=True)
class Attack:
    program: str
    said: str = ""
    """In its output, when it was stopped."""
    killed: tuple[str, ...] = ("",)
    bounds: dict[str, Any] = field(default_factory=dict)
    shell: bool = False


NO, NONE = "-1 Operation not permitted", "-1 Function not implemented"
ATTACKS = {
    "secrets of the system": Attack("cat /etc/shadow || cat /etc/ssh/* || echo stopped", "stopped\n", shell=True),
    "homes": Attack("ls /root /home 2>/dev/null; cat ~/.ssh/* || echo stopped", "stopped\n", shell=True),
    "writing outside": Attack(
        "for place in / /usr /usr/bin /etc /dev /var /proc/sys/kernel; do touch $place/new && echo written; done;"
        " echo x >/etc/passwd && echo written; echo end",
        "end\n",
        shell=True,
    ),
    "devices": Attack("ls /dev | grep -E '^(sd|vd|nvme|kmsg|mem|kvm|fuse)' || echo stopped", "stopped\n", shell=True),
    "making a device": Attack("import os; os.mknod('disk', 0o60600, 0x800)", killed=("",)),
    "environment of the first process": Attack(
        "cat /proc/1/environ /proc/1/cmdline /proc/self/environ | tr '\\0' '\\n'; echo end", "end", shell=True
    ),
    "processes of the machine": Attack(
        "import os; print(max(int(name) for name in os.listdir('/proc') if name.isdigit()) < 20)", "True"
    ),
    "signals": Attack("kill -9 1 $PPID; kill -9 -1; echo end", shell=True, killed=("",)),
    "ptrace": Attack(system_call(101, 117, 16, 1, 0, 0), NO),
    "memory of others": Attack(system_call(310, 270, 1, 0, 0, 0, 0, 0), NO),
    "new user namespace": Attack(system_call(272, 97, 0x10000000), NO),
    "new user namespace by clone": Attack(system_call(56, 220, 0x10000000 | 17, 0, 0, 0, 0), NO),
    "clone3": Attack(system_call(435, 435, 0, 0), NONE),
    "another's namespace": Attack(system_call(308, 268, 0, 0), NO),
    "mount": Attack(system_call(165, 40, 0, 0, 0, 0, 0), NO),
    "io_uring": Attack(system_call(425, 425, 8, 0), NO),
    "bpf": Attack(system_call(321, 280, 0, 0, 0), NO),
    "keys of the kernel": Attack(system_call(250, 219, 0, 0), NO),
    "shared memory of System V": Attack(system_call(29, 194, 0, 2**30, 0o1600), NO),
    "a call of tomorrow": Attack(system_call(480, 480), NONE),
    "the other calling convention": Attack(system_call(0x40000000 | 39, 480), NONE),
    "typing into the terminal": Attack(system_call(16, 29, 0, 0x5412, 0), NO),
    "a virtual machine's socket": Attack("import socket; socket.socket(40, 1)", "Address family not supported"),
    "packets of its own making": Attack(
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "Operation not permitted"
    ),
    "a setuid program": Attack("cp /bin/bash own; chmod u+s own || echo stopped", "stopped\n", shell=True),
    "a setuid file made at once": Attack(
        "import os; os.open('own', os.O_CREAT | os.O_WRONLY, 0o4755)", "not permitted"
    ),
    "becoming root": Attack("import os; os.setuid(os.getuid() ^ 1)", "Operation not permitted"),
    "sudo and its like": Attack("su -c id 2>&1 || newgrp root 2>&1 || mount 2>&1 -t tmpfs x /work; id -u", shell=True),
    "fork bomb": Attack(
        "import os, time\nwhile True:\n try: os.fork() or time.sleep(30)\n"
        " except OSError: print('stopped', flush=True); break",
        "stopped",
        bounds={"seconds": 30},
    ),
    "memory bomb": Attack(
        "hold = []\nwhile True: hold.append(bytearray(10**7))", "MemoryError", bounds={"memory": 2**28}
    ),
    "memory bomb of many": Attack(
        "for each in 1 2 3 4 5 6 7 8; do python3 -c 'import time; a = b\"1\" * 10**8; time.sleep(20)' & done; wait",
        killed=("memory",),
        bounds={"memory": 2**28},
        shell=True,
    ),
    "filling temporary folders": Attack(
        "dd if=/dev/zero of=/tmp/a bs=1M; dd if=/dev/zero of=/dev/shm/a bs=1M; true",
        "No space left on device",
        bounds={"memory": 2**28},
        killed=("", "memory"),
        shell=True,
    ),
    "one file that fills the disk": Attack(
        "dd if=/dev/zero of=a bs=1M count=300", killed=("disk",), bounds={"disk": 2**24}, shell=True
    ),
    "many files that fill the disk": Attack(
        "import itertools\nfor each in itertools.count():\n open(f'{each % 400}', 'wb').write(bytes(10**6))",
        killed=("disk",),
        bounds={"disk": 2**26},
    ),
    "more files than a disk has numbers for": Attack(
        "import itertools, os\nos.chdir('/work')\nfor each in itertools.count(): os.mknod(str(each))",
        killed=("disk",),
        bounds={"seconds": 60},
    ),
    "folders deeper than any path": Attack(
        "import os, itertools\nfor each in itertools.count(): os.mkdir('deep' * 10); os.chdir('deep' * 10)",
        killed=("disk",),
    ),
    "200 MiB of output": Attack(
        "import sys\nfor each in range(200): sys.stdout.write('x' * 2**20)", killed=("output",)
    ),
    "endless output": Attack("yes", killed=("output",), shell=True),
    "endless errors": Attack("yes >&2", killed=("output",), shell=True),
    "busy processor": Attack("while True: pass", killed=("time",), bounds={"seconds": 1}),
    "waiting for ever": Attack("trap '' TERM INT HUP; sleep 1000", killed=("time",), bounds={"seconds": 1}, shell=True),
}


SLOW = {"more files than a disk has numbers for"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in ATTACKS]
)
async def test_an_attack_is_stopped(name: str, run: Run) -> None:
    attack = ATTACKS[name]
    argv = ("bash", "-c", attack.program) if attack.shell else ("python3", "-c", attack.program)

    ended = await run(*argv, **attack.bounds)

    said = (ended.stdout + ended.stderr).decode(errors="replace")
    assert ended.killed in attack.killed, said[-2000:]
    assert attack.said in said[-5000:], said[-2000:]
    for sign in ("written", "root:", "uid=0(root)", "PRIVATE", "BEGIN OPENSSH", "PORTAL_", "VIRTUAL_ENV"):
        assert sign not in said
    assert len(ended.stdout) <= 2**20
    assert len(ended.stderr) <= 2**20


async def test_the_network_is_out_of_reach(run: Run) -> None:
    loopback = socket.create_server(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0portal-test-{os.getpid()}")
    abstract.listen()
    tries = [
        f"socket.create_connection(('127.0.0.1', {loopback.getsockname()[1]}), 2)",
        "socket.create_connection(('192.0.2.1', 80), 2)",
        "socket.create_connection(('2001:db8::1', 80), 2)",
        f"socket.socket(socket.AF_UNIX).connect('\\0portal-test-{os.getpid()}')",
        "socket.getaddrinfo('example.com', 80)",
    ]
    program = "import socket\n" + "\n".join(
        f"try: {one}; print('written')\nexcept OSError: print('no')" for one in tries
    )

    with loopback, abstract:
        ended = await run("python3", "-c", program)

    assert ended.stdout == b"no\n" * len(tries), ended.stderr


async def test_with_a_network_local_sockets_stay_out_of_reach(run: Run) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    program = (
        f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5); print('reached')\n"
        "try: socket.socket(socket.AF_UNIX)\nexcept OSError: print('no')"
    )

    with server:
        ended = await run("python3", "-c", program, network=True)

    assert ended.stdout == b"reached\nno\n", ended.stderr


async def test_nothing_outlives_a_run(run: Run, folder: Path) -> None:
    """A daemon in a session of its own dies with the program that started it: the pipe that it holds closes."""
    folder.mkdir()
    os.mkfifo(folder / "alive")
    os.chmod(folder / "alive", 0o666)
    reader = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)

    ended = await run("bash", "-c", "setsid nohup sleep 1000 </dev/null >alive 2>&1 & echo $(echo >alive)started")

    assert ended.stdout == b"started\n"
    os.set_blocking(reader, True)
    while os.read(reader, 100):
        pass
    os.close(reader)


async def test_cancelling_kills_everything(run: Run, folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "alive")
    os.chmod(folder / "alive", 0o666)
    reader = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
    started = asyncio.Event()
    asyncio.get_running_loop().add_reader(reader, started.set)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            run("bash", "-c", "exec 3>alive; setsid sleep 1000 & echo >&3; sleep 1000", seconds=60)
        )
        await started.wait()
        asyncio.get_running_loop().remove_reader(reader)
        task.cancel()

    assert task.cancelled()
    os.set_blocking(reader, True)
    while os.read(reader, 100):
        pass
    os.close(reader)


async def test_no_link_is_followed_out_of_the_folder(run: Run, bubblewrap: Bubblewrap, folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.write_text("PRIVATE")
    program = (
        f"ln -s {secret} link; ln -s {folder.parent} up; ln -s /etc/passwd users; mkfifo pipe; mkdir inner;"
        " echo fine >inner/own; ln -s inner/own near; ln {secret} hard; true"
    )

    ended = await run("bash", "-c", program)

    assert ended.made == ["inner/own"]
    assert await bubblewrap.read(folder, "inner/own", 100) == b"fine\n"
    for name in (
        "link",
        "up/secret",
        "users",
        "pipe",
        "near",
        "inner",
        "hard",
        "../secret",
        "inner/../../secret",
        "/etc/passwd",
        "",
        ".",
    ):
        with pytest.raises(ToolError):
            await bubblewrap.read(folder, name, 100)
    with pytest.raises(ToolError, match="5 bytes"):
        await bubblewrap.read(folder, "inner/own", 4)


async def test_a_folder_that_is_a_link_is_not_worked_in(bubblewrap: Bubblewrap, run: Run, folder: Path) -> None:
    (folder.parent / "target").mkdir()
    folder.symlink_to(folder.parent / "target")

    with pytest.raises(ToolError, match="is a link"):
        await run("true")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can plant a setuid program")
async def test_a_setuid_program_in_the_folder_gives_no_rights(run: Run, folder: Path) -> None:
    folder.mkdir()
    planted = folder / "root-shell"
    planted.write_bytes(Path("/bin/bash").read_bytes())
    planted.chmod(0o4755)

    ended = await run("./root-shell", "-p", "-c", "id -u")

    assert ended.stdout.strip() != b"0"
    assert int(ended.stdout) >= 1000


async def test_the_environment_of_portal_stays_outside(run: Run) -> None:
    ended = await run("bash", "-c", "env; tr '\\0' '\\n' </proc/1/environ", environment={"MINE": "a b"})

    names = {line.partition("=")[0] for line in ended.stdout.decode().splitlines()}
    assert names <= {"PATH", "HOME", "TMPDIR", "LANG", "USER", "MINE", "PWD", "SHLVL", "_", "OLDPWD"}
    assert "MINE=a b" in ended.stdout.decode()


async def test_a_library_named_in_the_environment_is_loaded_after_the_bounds_only(run: Run, folder: Path) -> None:
    """LD_PRELOAD reaches the program alone, never what sets its bounds and user."""
    ended = await run("bash", "-c", "ulimit -c; id -u", environment={"LD_PRELOAD": f"{WORK}/evil.so"})

    assert ended.stdout.splitlines()[0] == b"0"
    assert ended.stderr.count(b"evil.so") <= 2  # bash itself and id
