"""Stands in for the docker program: containers in a JSON file, strict about what it is given."""

import argparse
import json
import sys
from pathlib import Path

STATE = Path(sys.argv[1])


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="docker", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True)
    ps = commands.add_parser("ps")
    ps.add_argument("--format", required=True)
    ps.add_argument("--all", action="store_true")
    logs = commands.add_parser("logs")
    logs.add_argument("--tail", type=int, default=10**9)
    run = commands.add_parser("run")
    run.add_argument("--detach", action="store_true", required=True)
    run.add_argument("--security-opt", required=True)
    run.add_argument("--name")
    run.add_argument("--publish", action="append", default=[])
    run.add_argument("image")
    run.add_argument("words", nargs=argparse.REMAINDER)
    remove = commands.add_parser("rm")
    remove.add_argument("--force", action="store_true")
    for one in (logs, remove, commands.add_parser("wait"), commands.add_parser("stop")):
        one.add_argument("container")
    compose = commands.add_parser("compose")
    compose.add_argument("--ansi", choices=["never"], required=True)
    compose.add_argument("--progress", choices=["plain"], required=True)
    compose.add_argument("--file", type=Path, required=True)
    actions = compose.add_subparsers(dest="action", required=True)
    actions.add_parser("ps").add_argument("--all", action="store_true")
    up = actions.add_parser("up")
    up.add_argument("--detach", action="store_true", required=True)
    up.add_argument("services", nargs="*")
    actions.add_parser("down")
    return top


def main() -> str:
    given = parser().parse_args(sys.argv[2:])
    known = json.loads(STATE.read_text()) if STATE.exists() else {}
    if given.command in ("logs", "rm", "wait", "stop") and given.container not in known:
        sys.exit(f"Error response from daemon: No such container: {given.container}")
    match given.command:
        case "ps":
            shown = [one for one in known.values() if given.all or one["up"]]
            return "".join(
                f"{one['name']}\t{one['image']}\t{'Up' if one['up'] else 'Exited'}\t{one['ports']}\n" for one in shown
            )
        case "logs":
            return "".join(known[given.container]["said"].splitlines(keepends=True)[-given.tail :])
        case "run":
            name = given.name or "random"
            if given.image == "absent":
                sys.exit("Unable to find image 'absent:latest' locally")
            said = " ".join(given.words[1:]) + "\n" if given.words[:1] == ["echo"] else "one\ntwo\n"
            known[name] = {"name": name, "image": given.image, "ports": ",".join(given.publish), "said": said}
            known[name] |= {"up": True, "code": 3 if given.words[:1] == ["false"] else 0}
            print("Pulling from library", file=sys.stderr)
            told = f"{name}\n"
        case "wait":
            return f"{known[given.container]['code']}\n"
        case "stop":
            known[given.container]["up"] = False
            told = given.container
        case "rm":
            if known[given.container]["up"] and not given.force:
                sys.exit("container is running")
            del known[given.container]
            told = given.container
        case "compose":
            assert given.file.is_file()
            return f"{given.action} {','.join(getattr(given, 'services', []))}\n"
    STATE.write_text(json.dumps(known))
    return told


sys.stdout.write(main())
