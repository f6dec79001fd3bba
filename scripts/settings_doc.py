"""Write the settings tables of docs/configuration.md from portal.settings; `--check` only compares, exit 1 if stale."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from portal.settings import BackendSettings, Settings
from portal.settings.live import LIVE
from portal.settings.mcp import ToolServerSettings
from portal.settings.people import OidcSettings, TermSettings
from portal.settings.tools import PolicySettings
from portal.settings.workspaces import RuleSettings, WorkspaceSettings

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- settings:begin -->", "<!-- settings:end -->"
BLOCKS: dict[str, tuple[type[BaseModel], str]] = {
    "backends": (BackendSettings, "[[backends]]"),
    "workspaces": (WorkspaceSettings, "[workspaces.NAME]"),
    "rules": (RuleSettings, "[rules.NAME]"),
    "policies": (PolicySettings, "[[policies]]"),
    "people.oidc": (OidcSettings, "[people.oidc.NAME]"),
    "people.roles": (TermSettings, "[people.roles.ROLE]"),
    "mcp.servers": (ToolServerSettings, "[mcp.servers.NAME]"),
}
"""Settings of which there are as many as the user likes, in blocks of the file."""
HEAD = "| Setting | Environment variable | Default | What it does |\n|---|---|---|---|"


def default(field: FieldInfo) -> str:
    """The default as it would stand in the settings file."""
    if field.default_factory is not None:
        return "the system's folder for user data"
    value = field.default
    if field.is_required():
        return "needed"
    if value is None or value in ("", (), {}):
        return "none"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def row(prefix: str, name: str, field: FieldInfo, *, variable: bool = True) -> str:
    """One line of a table."""
    dotted = f"{prefix}.{name}" if prefix else name
    env = f"`PORTAL_{dotted.replace('.', '__').upper()}`" if variable else "in the file"
    kind = " (A list.)" if get_origin(field.annotation) is tuple else ""
    live = " Applies at once." if variable and dotted in LIVE else ""
    return f"| `{dotted}` | {env} | {default(field)} | {field.description}{kind}{live} |"


def sections() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """The nested models of the tree: name, title and class."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, f"Settings of {name}", field.annotation


def described(name: str) -> str:
    """The description of a setting that has blocks, by its dotted name."""
    section, _, field = name.rpartition(".")
    fields = {name: model for name, _, model in sections()}[section].model_fields if section else None
    return str((fields or Settings.model_fields)[field].description)


def tables() -> str:
    """All tables, in the order of the tree."""
    nested = {name for name, _, _ in sections()}
    top = [row("", name, field) for name, field in Settings.model_fields.items() if name not in {*nested, *BLOCKS}]
    parts = ["### General settings\n", HEAD, *top]
    for name, title, model in sections():
        fields = model.model_fields.items()
        rows = [row(name, field_name, field) for field_name, field in fields if f"{name}.{field_name}" not in BLOCKS]
        parts += [f"\n### {title}\n", f"{model.__doc__}\n", HEAD, *rows]
    for name, (model, block) in BLOCKS.items():
        rows = [row(name, field_name, field, variable=False) for field_name, field in model.model_fields.items()]
        live = " Changes apply at once." if name in LIVE else ""
        intro = f"{described(name)} One `{block}` block for each.{live}\n"
        parts += [f"\n### Settings of {name}\n", intro, HEAD, *rows]
    return "\n".join(parts)


def render(page: str) -> str:
    """The page with fresh tables between its marks; what the guide's index says below a heading is kept."""
    before, rest = page.split(BEGIN)
    old, after = rest.split(END)
    asked = dict(re.findall(r"^(### .+)\n\n(<!-- asked: .+ -->)$", old, re.MULTILINE))
    fresh = re.sub(
        "^### .+", lambda head: "\n\n".join(filter(None, [head[0], asked.get(head[0])])), tables(), flags=re.M
    )
    return f"{before}{BEGIN}\n{fresh}\n{END}{after}"


def main() -> int:
    """Write, or compare with `--check`."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = render(page)
    if "--check" in sys.argv:
        if fresh != page:
            print("docs/configuration.md is stale: run scripts/settings_doc.py", file=sys.stderr)
        return int(fresh != page)
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
