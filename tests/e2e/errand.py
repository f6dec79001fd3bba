"""An errand for tests: a git repository with dated commits, and a model that knows nothing but what tools tell it."""

import json
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.model import ModelInfo, ModelRequest, TextDelta, ToolCallDelta

ERRAND = "What changed in this repository this week? Make a chart of commits per day and save it as a PDF."
LAST_WEEK = {5: 3, 3: 1, 2: 4, 0: 2}
"""Commits by days ago."""
_COMMIT = re.compile(r"^[0-9a-f]{7,} (\d{4}-\d{2}-\d{2}) \d{2}:\d{2} .+?: (.+)$", re.MULTILINE)
_PROGRAM = """\
import collections, json
days = collections.Counter({days})
print(json.dumps(dict(sorted(days.items()))))
"""


def repository(folder: Path) -> Path:
    """With commits of this week, and older ones."""
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    now = datetime.now(UTC)
    for days, count in {40: 2, 20: 1, **LAST_WEEK}.items():
        for number in range(count):
            when = (now - timedelta(days=days, minutes=count - number)).isoformat()
            (folder / "notes.txt").write_text(f"{days} {number}", encoding="utf-8")
            _git(folder, "add", ".")
            _git(folder, "commit", "--quiet", f"--message=Note {number} of day {days}", date=when)
    return folder


def _git(folder: Path, *arguments: str, date: str = "") -> None:
    dated = [f"GIT_AUTHOR_DATE={date}", f"GIT_COMMITTER_DATE={date}"] if date else []
    command = ["env", *dated, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments]
    subprocess.run(command, cwd=folder, check=True)


def runner() -> ScriptedBackend:
    """A model that decides what to do next from the results it is given."""
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    return ScriptedBackend(models=[model], default=_next)


def _next(request: ModelRequest) -> Sequence[Step]:
    results = [str(message["content"]) for message in request.messages if message["role"] == "tool"]
    if not results:
        return [_call("git_log", since="1 week ago", limit=200)]
    last = results[-1]
    if place := re.search(r"you may use (\S+?)\.$", last):
        return [_call("git_log", repository=place[1], since="1 week ago", limit=200)]
    if found := _COMMIT.findall(last):
        return [_call("run_python", code=_PROGRAM.format(days=[day for day, _ in found]))]
    if counted := re.match(r"\{.+\}", last):
        days = json.loads(counted[0])
        drawn = {"kind": "bar", "values": [*days.values()], "labels": [*days], "title": "Commits per day"}
        return [_call("make_chart", save_as="commits.pdf", **drawn)]
    if made := re.match(r"Drew (\d+) points as (\S+[.]pdf)", last):
        told = [subject for text in results for _, subject in _COMMIT.findall(text)]
        sentence = f"{len(told)} commits on {made[1]} days, the newest is {told[0]!r}. The chart is in {made[2]}."
        return [TextDelta(sentence)]
    return [TextDelta(f"I could not do it: {last}")]


def _call(name: str, **arguments: Any) -> ToolCallDelta:
    return ToolCallDelta(0, f"call_{name}", name, json.dumps(arguments))
