"""Skills in the open Agent Skills format: a folder with SKILL.md, whose head says its name and what it is for, and
with whatever files its words speak of."""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from portal.errors import ToolError
from portal.settings import Settings
from portal.tools.file_search import walk
from portal.tools.folders import Place
from portal.tools.plain_yaml import plain_yaml

logger = logging.getLogger(__name__)

MANIFEST = "SKILL.md"
MOST_FILES = 1000
RUNNABLE = {".py": "python", ".sh": "bash", ".bash": "bash", ".js": "node", ".mjs": "node", ".cjs": "node"}
"""What a file is run with, by its ending."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LARGEST = 2**20
_LONGEST_NAME, _LONGEST_DESCRIPTION, _LONGEST_HEAD = 64, 1024, 2**16
_PARTS = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*(?:\n|\Z)(.*)", re.DOTALL)
_UNQUOTED = re.compile(r"^([\w-]+): +([^'\"|>\[{&*#\n].*:.*)$", re.MULTILINE)
"""A value with a colon in it, which people write without quotes although YAML wants them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFile:
    """One file of a skill."""

    path: str
    size: int

    @property
    def script(self) -> bool:
        """Whether it can be run."""
        return Path(self.path).suffix.lower() in RUNNABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One skill as its SKILL.md tells it."""

    name: str
    description: str
    licence: str = ""
    compatibility: str = ""
    allowed_tools: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    folder: Path
    body: str

    def place(self, path: str = "") -> Place:
        """Where a file of it is. Raises ToolError for a path that leads outside."""
        relative = Path(os.path.normpath(path))
        if relative.is_absolute() or ".." in relative.parts or "\0" in path:
            raise ToolError(f"{path!r} is not in the skill; name a file from its folder on.")
        return Place(self.folder, relative, own=True)

    def files(self) -> list[SkillFile]:
        """All but links and what is git's. Raises ToolError for more than a skill may have."""
        found = [one for one in walk(self.place()) if one.path.is_file() and not one.path.is_symlink()]
        if len(found) > MOST_FILES:
            raise ToolError(f"The skill {self.name} has more than {MOST_FILES} files.")
        return [SkillFile(path=one.relative.as_posix(), size=one.path.stat().st_size) for one in found]


def read_skill(folder: Path) -> Skill:
    """The skill in a folder. Raises ToolError where there is none, or its head does not say what it must."""
    root = folder.resolve()
    try:
        data = Place(root, Path(MANIFEST), own=True).read(_LARGEST + 1)
    except OSError as error:
        raise ToolError(f"{folder.name} has no {MANIFEST} that can be read: {error.strerror}.") from error
    if len(data) > _LARGEST:
        raise ToolError(f"{folder.name}: its {MANIFEST} is larger than {_LARGEST:,} bytes.")
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    parts = _PARTS.match(text)
    if not parts or len(parts[1]) > _LONGEST_HEAD:
        raise ToolError(f"{folder.name}: its {MANIFEST} does not begin with a head between two lines of ---.")
    try:
        head = _head(parts[1])
        return _skill(head, root, parts[2].strip())
    except ToolError as error:
        raise ToolError(f"{folder.name}: {error.message}") from error


def _head(text: str) -> Mapping[str, object]:
    """What it says of itself. Raises ToolError."""
    quoted = _UNQUOTED.sub(lambda found: f"{found[1]}: {json.dumps(found[2].rstrip(), ensure_ascii=False)}", text)
    for tried in (text, quoted):
        try:
            head = plain_yaml(tried)
        except ValueError:
            continue
        if isinstance(head, dict):
            return head
    raise ToolError("its head is not YAML with a name and a description.")


def _skill(head: Mapping[str, object], root: Path, body: str) -> Skill:
    name, description = _line(head.get("name")), _line(head.get("description"))
    if not NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ToolError(f"its name {name[:80]!r} is not one of up to 64 small letters, digits and single hyphens.")
    if not description:
        raise ToolError("it has no description.")
    tools, metadata = head.get("allowed-tools"), head.get("metadata")
    return Skill(
        name=name,
        description=description[:_LONGEST_DESCRIPTION],
        licence=_line(head.get("license")),
        compatibility=_line(head.get("compatibility")),
        allowed_tools=_line(" ".join(map(str, tools)) if isinstance(tools, list) else tools),
        metadata={_line(key): _line(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {},
        folder=root,
        body=body,
    )


def _line(value: object) -> str:
    """In one line, without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value or "")).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What there was when the folders looked like this."""

    state: Sequence[int] = ()
    skills: Mapping[str, Skill] = field(default_factory=dict)
    broken: Sequence[str] = ()
    scripted: bool = False


class Shelf:
    """The skills of an installation: those in the data folder, then those in the folders of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is read before it is asked for."""
        self.home = settings.data_dir / "skills"
        others = (Path(os.path.abspath(folder.expanduser())) for folder in settings.skills.folders)
        self._folders = [self.home, *others]
        self._trusted = frozenset(settings.skills.trusted)
        self._seen = _Seen()

    def skills(self) -> Mapping[str, Skill]:
        """By name, as the folders are now; of two with one name the first."""
        return self._look().skills

    def broken(self) -> Sequence[str]:
        """Why folders among them are no skills."""
        return self._look().broken

    def scripted(self) -> bool:
        """Whether there is anything to run."""
        return self._look().scripted

    def changed(self) -> int:
        """When skills last came or went, in microseconds UTC."""
        return max(self._look().state) // 1000

    def trusts(self, skill: Skill) -> bool:
        """Whether the settings name it."""
        return skill.name in self._trusted

    def installed(self, skill: Skill) -> bool:
        """Whether it is in the data folder, and so can be removed."""
        return skill.folder.parent == self.home.resolve()

    def _look(self) -> "_Seen":
        """Read them again where a folder changed: what was installed by another process is there at once."""
        state = [_changed(folder) for folder in self._folders]
        if state == self._seen.state:
            return self._seen
        found: dict[str, Skill] = {}
        broken: list[str] = []
        scripted = False
        for folder in (inner for outer in self._folders for inner in _inner(outer)):
            try:
                skill = read_skill(folder)
                if skill.name != folder.name:
                    raise ToolError(f"{folder.name}: it is named {skill.name}, and its folder must be, too.")
                scripted = any(file.script for file in skill.files()) or scripted
                found.setdefault(skill.name, skill)
            except ToolError as error:
                broken.append(error.message)
                logger.warning("No skill: %s", error.message)
        self._seen = _Seen(state=state, skills=dict(sorted(found.items())), broken=broken, scripted=scripted)
        return self._seen


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _inner(folder: Path) -> Iterator[Path]:
    """The folders that look like skills."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False) and one.name[0] != ".")
    except OSError:
        return
    yield from (folder / name for name in names if os.path.lexists(folder / name / MANIFEST))
