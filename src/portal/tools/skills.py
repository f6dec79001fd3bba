"""Tools by which models use skills: their instructions are read when a task needs them, their scripts run in the
sandbox. What a skill says was written by a stranger, unless the settings trust it."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from shutil import which
from typing import Annotated

from portal.core.sandbox import SandboxJob
from portal.core.selection import Ranking
from portal.core.thesaurus import packaged_thesaurus
from portal.core.tool_ports import Sandbox
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import ToolError
from portal.settings.tools import ToolSettings
from portal.tools.code import DISK, interpreter, ran
from portal.tools.families import Needs
from portal.tools.file_text import decoded
from portal.tools.folders import Folders, granted
from portal.tools.function import Functions, tool
from portal.tools.skill import RUNNABLE, Shelf, Skill, read_skill

_SECONDS = 300
_LISTED = 1500
"""Characters of the skills in the description of use_skill."""
_LINE = 200
_FOUND = 8
_LARGEST = 2 * 2**20

Which = Annotated[str, "Name of the skill"]


def create(needs: Needs) -> "SkillTools":
    """The family."""
    settings = needs.settings
    return SkillTools(Shelf(settings), needs.sandbox, settings.tools, granted(settings))


class SkillTools(Functions):
    """The tools; none where there are no skills."""

    def __init__(self, shelf: Shelf, sandbox: Sandbox, settings: ToolSettings, folders: Folders) -> None:
        self._shelf, self._sandbox, self._settings, self._folders = shelf, sandbox, settings, folders
        super().__init__("skills", [self.use_skill, self.find_skill, self.read_skill_file, self.run_skill_script])

    @property
    def detail(self) -> str:
        """Which folders are no skills, and why."""
        return "; ".join(self._shelf.broken())[:1000]

    def tools(self) -> Sequence[ToolSpec]:
        """Those that work: running needs a sandbox, and finding more skills than are listed."""
        skills = list(self._shelf.skills().values())
        if not skills:
            return []
        listed = _listed(skills)
        unfit = {"find_skill"} if len(listed) == len(skills) else set()
        if self._sandbox.refusal() or not self._shelf.scripted():
            unfit.add("run_skill_script")
        return [self._listing(spec, listed) for spec in super().tools() if spec.name not in unfit]

    def _listing(self, spec: ToolSpec, lines: Sequence[str]) -> ToolSpec:
        if spec.name == "run_skill_script":  # a yes was to the scripts that there were
            return replace(spec, since=self._shelf.changed())
        if spec.name == "use_skill":
            told = spec.description
            return replace(spec, description=_telling(told, lines), within=lambda parts: self._some(told, parts))
        return spec

    def _some(self, told: str, parts: Sequence[str]) -> str:
        return _telling(told, _listed(_among(self._shelf.skills(), parts).values()))

    @tool(risk="read")
    def use_skill(self, name: Which, context: ToolContext) -> ToolResult:
        """Load a skill: written instructions for a kind of task. Load the one that fits before you begin."""
        skill = self._get(name, context)
        files = "\n".join(f"- {file.path} ({file.size:,} bytes)" for file in skill.files())
        note = "Read its files with read_skill_file, run its scripts with run_skill_script."
        return self._told(skill, f"{skill.body}\n\nFiles of the skill {name}. {note}\n{files}")

    @tool(risk="read", untrusted=True)
    def find_skill(self, query: Annotated[str, "The task, in a few words"], context: ToolContext) -> str:
        """Find skills for a task among those that use_skill does not list."""
        specs = [
            ToolSpec(name=one.name, description=one.description, risk="read", toolset="skills")
            for one in _among(self._shelf.skills(), context.parts).values()
        ]
        found = Ranking(specs, thesaurus=packaged_thesaurus()).best(query, _FOUND)
        return "\n".join(f"{spec.name}: {spec.description[:_LINE]}" for spec in found) or "No skill fits that."

    @tool(risk="read")
    def read_skill_file(
        self, name: Which, path: Annotated[str, "As use_skill lists it"], context: ToolContext
    ) -> ToolResult:
        """Read a text file of a skill, such as a reference that its instructions name."""
        skill = self._get(name, context)
        try:
            data = skill.place(path).read(_LARGEST + 1)
        except OSError as error:
            raise ToolError(f"{path!r} of {name} cannot be read: {error.strerror}. {_files(skill)}") from error
        if len(data) > _LARGEST:
            raise ToolError(f"{path!r} is larger than {_LARGEST:,} bytes.")
        return self._told(skill, decoded(data, path)[0])

    @tool(risk="execute", timeout=_SECONDS + 30)
    async def run_skill_script(
        self,
        name: Which,
        path: Annotated[str, "Such as scripts/make.py"],
        context: ToolContext,
        arguments: Annotated[tuple[str, ...], "What to pass to it"] = (),
    ) -> ToolResult:
        """Run a script of a skill, in the conversation's folder. Files that it writes come back. No network."""
        skill = self._get(name, context)
        program, readable = self._program(path, context)
        if path not in {file.path for file in skill.files()}:
            raise ToolError(f"{name} has no script {path!r}. {_files(skill)}")
        job = SandboxJob(
            argv=[*program, str(skill.place(path).path), *arguments],
            folder=context.folder.resolve(),
            readable=[skill.folder, *readable, *self._folders.readable()],
            environment={"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1", "SKILL_DIR": str(skill.folder)},
            seconds=_SECONDS,
            disk=DISK,
        )
        return replace(await ran(self._sandbox, job), untrusted=not self._shelf.trusts(skill))

    def _program(self, path: str, context: ToolContext) -> tuple[Sequence[str], Sequence[Path]]:
        """How to start a script, and what must be readable for it."""
        kind = RUNNABLE.get(Path(path).suffix.lower(), "")
        if not kind:
            raise ToolError(f"{path!r} cannot be run: it ends in none of {', '.join(RUNNABLE)}.")
        if kind == "python":
            return interpreter(self._settings, context.folder)
        if not which(kind):
            raise ToolError(f"{path!r} needs {kind}, which this machine does not have.")
        return [kind], []

    def _get(self, name: str, context: ToolContext) -> Skill:
        """As it is on the disk now."""
        skills = _among(self._shelf.skills(), context.parts)
        if name not in skills:
            near = ", ".join(difflib.get_close_matches(name, skills, n=3))
            raise ToolError(f"There is no skill {name!r}. {f'Like it: {near}' if near else ''}".strip())
        return read_skill(skills[name].folder)

    def _told(self, skill: Skill, text: str) -> ToolResult:
        return ToolResult(text=text, untrusted=not self._shelf.trusts(skill))


def _among(skills: Mapping[str, Skill], parts: Sequence[str]) -> Mapping[str, Skill]:
    """Those that a workspace has."""
    return {name: skill for name, skill in skills.items() if any(fnmatchcase(name, one) for one in parts)}


def _telling(told: str, lines: Sequence[str]) -> str:
    return "\n".join([told, "Skills:", *lines])


def _listed(skills: Iterable[Skill]) -> list[str]:
    """As many of them as there is room for, a line each."""
    lines: list[str] = []
    room = _LISTED
    for skill in skills:
        line = f"- {skill.name}: {skill.description}"
        line = line if len(line) <= _LINE else f"{line[: _LINE - 3]}..."
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return lines


def _files(skill: Skill) -> str:
    return f"It has {', '.join(file.path for file in skill.files()[:50])}."
