import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import cast

import pytest

from portal.core.ports import Files
from portal.core.tool_ports import Fetcher, Toolset
from portal.errors import ToolError
from portal.settings import Settings
from portal.testing.plain_sandbox import PlainSandbox
from portal.testing.tool_calls import call, tool_context
from portal.tools.families import FAMILIES, Needs, built_in
from portal.tools.plugins import Broken, load
from portal.tools.system import SystemTools

WEATHER = '''
from dataclasses import dataclass
from typing import Annotated
from portal.tools.function import tool

@dataclass
class Place:
    name: str

@tool(risk="read")
def weather(city: Annotated[str, "Name of the city"]) -> str:
    """Tell the weather."""
    return f"Sunny in {Place(city).name}."
'''


@pytest.fixture
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def needs(tmp_path: Path) -> Needs:
    settings = Settings(data_dir=tmp_path)
    nothing = cast("Fetcher", None), cast("Files", None)
    return Needs(settings=settings, sandbox=PlainSandbox(unsafe=True), fetcher=nothing[0], files=nothing[1])


def write(needs: Needs, name: str, text: str) -> Path:
    folder = needs.settings.data_dir / "tools"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def details(toolsets: list[Toolset]) -> dict[str, str]:
    return {one.name: one.detail if isinstance(one, Broken) else "" for one in toolsets}


async def test_a_file_with_a_function_is_a_toolset(needs: Needs, tmp_path: Path) -> None:
    write(needs, "weather.py", WEATHER)
    write(needs, "_draft.py", "raise RuntimeError")
    write(needs, "notes.txt", "")

    (toolset,) = load(needs, [])

    assert toolset.name == "weather"
    assert [(spec.name, spec.risk) for spec in toolset.tools()] == [("weather", "read")]
    assert (await call(toolset, "weather", tmp_path, city="Bonn")).text == "Sunny in Bonn."


async def test_what_cannot_be_loaded_says_so_and_the_others_work(needs: Needs, tmp_path: Path) -> None:
    write(needs, "a_raises.py", "raise KeyError('weather')")
    write(needs, "b_exits.py", "import sys; sys.exit('bye')")
    write(needs, "c_syntax.py", "def (")
    write(needs, "d_missing.py", "import no_such_package")
    write(needs, "e_empty.py", "x = 1")
    write(needs, "f_unmarked.py", WEATHER.replace('city: Annotated[str, "Name of the city"]', "city"))
    write(needs, "g-name.py", WEATHER)
    write(needs, "h_open.py", WEATHER).chmod(0o666)
    write(needs, "weather.py", WEATHER)

    toolsets = load(needs, [])
    told = details(toolsets)

    assert told.pop("weather") == ""
    assert told == {
        "a_raises": "KeyError: 'weather'",
        "b_exits": "SystemExit: bye",
        "c_syntax": "SyntaxError: invalid syntax (c_syntax.py, line 1)",
        "d_missing": "ModuleNotFoundError: No module named 'no_such_package'",
        "e_empty": "it has no function with @tool",
        "f_unmarked": "TypeError: weather: the parameter 'city' needs a type",
        "g-name": "the file's name may have letters, digits and _ only",
        "h_open": f"anybody on this machine can change {tmp_path}/tools/h_open.py; run chmod o-w on it",
    }
    assert all(list(one.tools()) == [] for one in toolsets if isinstance(one, Broken))
    assert "portal_tools_a_raises" not in sys.modules
    with pytest.raises(ToolError, match="KeyError"):
        await toolsets[0].call("weather", {}, tool_context(tmp_path))
    for one in toolsets:
        await one.aclose()


async def test_installed_packages(needs: Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_weather.py").write_text(WEATHER)
    (tmp_path / "my_tools.py").write_text(
        "from portal.tools.function import Functions\nimport my_weather\n"
        "def create(needs): return Functions('mine', [my_weather.weather])\n"
        "def wrong(needs): return 5\n"
        "class Odd:\n    name = 5\n    tools = None\ndef odd(needs): return Odd()\n"
    )
    write(needs, "taken.py", WEATHER)
    named = {"module": "my_weather", "made": "my_tools:create", "wrong": "my_tools:wrong", "odd": "my_tools:odd"}
    entries = [EntryPoint(name, value, "portal.tools") for name, value in {**named, "taken": "my_weather"}.items()]

    toolsets = load(needs, entries)

    assert [one.name for one in toolsets] == ["taken", "module", "mine", "wrong", "odd", "taken"]
    assert [isinstance(one, Broken) for one in toolsets] == [False, False, False, True, True, True]
    assert (await call(toolsets[2], "weather", tmp_path, city="Rome")).text == "Sunny in Rome."
    assert details(toolsets)["odd"] == "it does not return a toolset"
    assert (
        load(
            Needs(
                settings=Settings(data_dir=tmp_path / "x"),
                sandbox=needs.sandbox,
                fetcher=needs.fetcher,
                files=needs.files,
            )
        )
        == []
    )


HOST = ("files", "code", "python_env", "git", "docker", "system")


def test_the_families_say_what_their_tools_are(needs: Needs) -> None:
    families = built_in(needs, HOST)
    specs = [spec for family in families for spec in family.tools()]

    assert [family.name for family in families] == list(HOST)
    assert set(HOST) <= set(FAMILIES)
    assert len({spec.name for spec in specs}) == len(specs)
    for spec in specs:
        assert len(spec.description) < 250, spec.name
        assert set(spec.scopes) <= set(spec.parameters["properties"]), spec.name
        assert all("description" in one for one in spec.parameters["properties"].values()), spec.name


def test_every_tool_is_in_the_manual(needs: Needs, root: Path) -> None:
    manual = (root / "docs/tools.md").read_text(encoding="utf-8")
    families = [*built_in(needs, HOST), SystemTools(clipboard=True, data_dir=root, find=lambda name: name)]

    missing = [spec.name for family in families for spec in family.tools() if f"`{spec.name}`" not in manual]

    assert missing == []


def test_the_manuals_tool_works(needs: Needs, root: Path) -> None:
    page = (root / "docs/tools.md").read_text(encoding="utf-8")
    write(needs, "home.py", page.split("```python\n")[1].split("```")[0])

    (toolset,) = load(needs, [])

    assert [spec.name for spec in toolset.tools()] == ["room_temperature"]
