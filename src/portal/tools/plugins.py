"""Tools of a person's own: Python files in the folder `tools` of the data folder, and installed packages with the
entry point `portal.tools`. One that cannot be loaded is a toolset that says so; nothing else suffers."""

import logging
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from portal.core.items import JsonObject
from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import ToolError
from portal.tools.families import Needs
from portal.tools.function import Functions, marked

logger = logging.getLogger(__name__)
GROUP = "portal.tools"


class Plugin(Functions):
    """The functions of a person's own."""

    kind = "plugin"


class Broken:
    """A toolset that could not be loaded: no tools, and why."""

    kind = "plugin"
    status = "failed"

    def __init__(self, name: str, detail: str) -> None:
        self.name, self.detail = name, detail

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return []

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        raise ToolError(f"The plug-in {self.name} could not be loaded: {self.detail}")

    async def aclose(self) -> None:
        """See Toolset."""


def load(needs: Needs, installed: Sequence[EntryPoint] | None = None) -> list[Toolset]:
    """Every plug-in as a toolset, files first; `installed` are the entry points, those of this Python by default.

    A file's tools are its functions with @tool. An entry point names a module with such functions, or a function that
    is given `Needs` and returns a toolset."""
    found = entry_points(group=GROUP) if installed is None else installed
    files = sorted((needs.settings.data_dir / "tools").glob("*.py"))
    loaders = [(path.stem, lambda path=path: _of_file(path)) for path in files if not path.name.startswith("_")]
    loaders += [(entry.name, lambda entry=entry: _of_entry(entry, needs)) for entry in found]
    return list(_loaded(loaders))


def _loaded(loaders: Sequence[tuple[str, Callable[[], Toolset]]]) -> Iterator[Toolset]:
    names: set[str] = set()
    for name, loader in loaders:
        try:
            if name in names:
                raise ToolError("another plug-in has the same name")
            yield loader()
        except (Exception, SystemExit) as error:  # what a stranger's module raises can be anything
            logger.warning("The plug-in %s cannot be loaded", name, exc_info=error)
            detail = str(error) if isinstance(error, ToolError) else f"{type(error).__name__}: {error}"
            yield Broken(name, detail[:500])
        names.add(name)


def _of_file(path: Path) -> Toolset:
    if not re.fullmatch(r"\w+", path.stem):
        raise ToolError("the file's name may have letters, digits and _ only")
    for one in (path, path.parent):
        if one.stat().st_mode & stat.S_IWOTH:
            raise ToolError(f"anybody on this machine can change {one}; run chmod o-w on it")
    name = f"portal_tools_{path.stem}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return _functions(path.stem, module)
    except BaseException:
        del sys.modules[name]
        raise


def _of_entry(entry: EntryPoint, needs: Needs) -> Toolset:
    loaded = entry.load()
    if not callable(loaded):
        return _functions(entry.name, loaded)
    toolset: Toolset = loaded(needs)
    if not isinstance(toolset.name, str) or not callable(toolset.tools):
        raise ToolError("it does not return a toolset")
    return toolset


def _functions(name: str, module: object) -> Plugin:
    functions = marked(module)
    if not functions:
        raise ToolError("it has no function with @tool")
    return Plugin(name, functions)
