"""The workflows there are: those that Portal brings, and the user's own over and beside them."""

import json
import logging
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from portal.errors import MediaRefused
from portal.media.workflow import Workflow, load, parse

log = logging.getLogger(__name__)

ORDER = (
    "flux-schnell",
    "flux-dev",
    "sdxl",
    "sd15",
    "flux-kontext",
    "flux-kontext-two",
    "sdxl-inpaint",
    "sdxl-edit",
    "wan22-video",
    "wan22-image-to-video",
    "cogvideox",
    "ace-step",
    "stable-audio",
)
"""Those of a kind in the order in which they are tried."""


@cache
def packaged() -> Mapping[str, Workflow]:
    """Those that Portal brings."""
    folder = files("portal.media") / "workflows"
    return {name: parse(name, json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))) for name in ORDER}


def workflows(folder: Path) -> tuple[Mapping[str, Workflow], Mapping[str, str]]:
    """The user's own first, then Portal's; and what is wrong with those that cannot be used, by name."""
    own, wrong = dict[str, Workflow](), dict[str, str]()
    for path in sorted(folder.glob("*.json")):
        try:
            own[path.stem] = load(path)
        except MediaRefused as error:
            log.warning("%s", error.message)
            wrong[path.stem] = error.message
    return {**own, **{name: one for name, one in packaged().items() if name not in own}}, wrong
