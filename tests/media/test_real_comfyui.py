"""Against a real ComfyUI, where `COMFYUI_URL` names one: a workflow without a model, from order to file.

COMFYUI_URL=http://127.0.0.1:8188 pytest tests/media/test_real_comfyui.py
"""

import json
import os
from pathlib import Path

import pytest
from tests.media.conftest import studio_at
from tests.media.test_jobs import Api

from portal.media import content

URL = os.environ.get("COMFYUI_URL", "")  # noqa: TID251 -- the person who runs this test says so
pytestmark = pytest.mark.skipif(not URL, reason="NOT RUN: needs a real ComfyUI, named by COMFYUI_URL")

PLAIN = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 48, "batch_size": 2, "color": 0x336699},
        "_meta": {"title": "portal:width=width"},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "portal"}},
}


async def test_a_workflow_without_a_model_goes_all_the_way(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "plain.json").write_text(json.dumps(PLAIN), encoding="utf-8")
    engine = {"kind": "comfyui", "url": URL}
    async with studio_at(tmp_path / "data", engine, workflows=str(flows)) as portal, Api(portal) as api:
        (state,) = (await api.call("GET", "/engines"))["data"]
        assert state["reachable"], state
        ended = await api.ended(await api.order(workflow="plain", values={"width": 96}))
        assert ended["status"] == "done", ended
        assert len(ended["files"]) == 2
        found = content.picture((await api.file(ended)).content, max_pixels=10_000)
        assert (found.width, found.height) == (96, 48)
