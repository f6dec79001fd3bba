"""The command of a container engine, as far as Portal uses one: strict in its options, it runs what it is told to
in the mounted folder, without any container.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

FLAGS = {"--rm", "--interactive", "--init", "--read-only"}
NEEDED = {
    "--rm",
    "--read-only",
    "--cap-drop",
    "--security-opt",
    "--network",
    "--memory",
    "--pids-limit",
    "--user",
    "--name",
}
VALUED = NEEDED | {"--pull", "--memory-swap", "--ulimit", "--tmpfs", "--workdir", "--mount", "--env", "--userns"}


def main(argv: list[str]) -> int:
    verb, *rest = argv
    if RUNNING == "0":
        print("Cannot connect to the engine", file=sys.stderr)
        return 1
    if verb == "version":
        return 0
    if verb == "image" and rest[0] == "inspect":
        return 0 if rest[1] in IMAGES.split() else 1
    if verb == "rm" and rest[0] == "--force":
        return stop(rest[1])
    return run(rest) if verb == "run" else 125


def run(words: list[str]) -> int:
    options: dict[str, list[str]] = {}
    while words[0].startswith("--"):
        name = words.pop(0)
        assert name in FLAGS | VALUED, name
        options.setdefault(name, []).append("" if name in FLAGS else words.pop(0))
    assert options.keys() >= NEEDED, NEEDED - options.keys()
    image, *command = words
    folder = options["--mount"][0].removeprefix("type=bind,source=").removesuffix(",target=/work")
    environment = dict(each.split("=", 1) for each in options["--env"]) | {"PATH": "/usr/bin:/bin"}
    environment["OPTIONS"] = repr(options)
    if image == "readonly":
        print("touch: Permission denied", file=sys.stderr)
        return 1
    pid_file = here(options["--name"][0])
    if not shutil.which(command[0]):
        print(f"docker: Error response from daemon: exec: {command[0]}: not found", file=sys.stderr)
        return 127
    note = ["sh", "-c", f'echo $$ >{pid_file}; exec "$@"', "sh"]
    code = subprocess.run([*note, *command], cwd=folder, env=environment, start_new_session=True).returncode
    pid_file.unlink(missing_ok=True)
    return 128 - code if code < 0 else code


def stop(name: str) -> int:
    if here(name).exists():
        os.killpg(int(here(name).read_text()), signal.SIGKILL)
        here(name).unlink()
    return 0


def here(name: str) -> pathlib.Path:
    return pathlib.Path(NOTES, f"{name}.pid")


IMAGES, RUNNING, NOTES = sys.argv[1:4]
sys.exit(main(sys.argv[4:]))
