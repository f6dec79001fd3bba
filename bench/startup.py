"""What Portal costs before it does anything: start to healthy, idle memory, installed size by extra.

    python bench/startup.py [--rounds 5] [--command ./launch.sh]

Start to healthy is from the process being made to the first 200 of /health, environment and database being there.
"""

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.metadata import Distribution, distributions
from pathlib import Path

from calibration import measure

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "requirements" / "bare.lock"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """`up` in the foreground on a free port."""

    def __init__(self, command: list[str], data_dir: str) -> None:
        port = free_port()
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "up", "--port", str(port), "--data-dir", data_dir],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{port}"

    def healthy(self) -> float:
        """Seconds from the process being made until /health answers."""
        while self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - self.began
            except OSError:  # not there yet, or too busy to answer
                time.sleep(0.005)
        raise SystemExit(f"the server ended with {self.process.returncode}")

    def memory(self) -> float:
        """Resident megabytes of the serving process, two seconds after it became healthy."""
        time.sleep(2)
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


def size(distribution: Distribution) -> int:
    """Bytes of an installed package, its compiled bytecode included."""
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    folders = {path.parent for path in paths}
    caches = [cached for folder in folders for cached in (folder / "__pycache__").glob("*.pyc")]
    return sum(path.stat().st_size for path in {*paths, *caches} if path.is_file())


def requirement_names(lock: Path) -> set[str]:
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {line.split("==")[0].split("[")[0].lower().replace("_", "-") for line in lines if "==" in line}


def installed() -> tuple[float, int]:
    """Megabytes and number of the packages of the core's lock file, as installed here, Portal's own code apart."""
    names = requirement_names(CORE)
    found = [item for item in distributions() if item.metadata["Name"].lower().replace("_", "-") in names]
    return sum(size(item) for item in found) / 2**20, len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--command", default=f"{sys.executable} -m portal")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    command = arguments.command.split()
    memories: list[float] = []

    with tempfile.TemporaryDirectory() as folder:

        def start() -> float:
            server = Server(command, folder)
            seconds = server.healthy()
            memories.append(server.memory())
            server.stop()
            return seconds

        start()
        seconds, ratio = measure(start, rounds=arguments.rounds)
    megabytes, packages = installed()
    figures = {
        "start_to_healthy_s": round(seconds, 3),
        "start_to_healthy_x_calibration": round(ratio, 1),
        "idle_memory_mb": round(sorted(memories)[len(memories) // 2], 1),
        "core_packages_mb": round(megabytes, 1),
        "core_packages": packages,
    }
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
