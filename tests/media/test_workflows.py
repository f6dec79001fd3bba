"""Every workflow that Portal brings, against what a ComfyUI really has; and workflows of people's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.media.conftest import audio_nodes

from portal.errors import MediaRefused
from portal.media.library import ORDER, packaged, workflows
from portal.media.needs import missing, resolved
from portal.media.workflow import Workflow, load, parse
from portal.testing.comfyui_rules import Nodes, Refused, options, recorded_nodes, validated

UNCHECKED = {
    "cogvideox": "CogVideoX needs nodes that are no part of ComfyUI",
    "ace-step": "the nodes that decode and save sound were not recorded",
    "stable-audio": "the nodes for empty, decoded and saved sound were not recorded",
}
"""Nothing was checked for these."""


def stocked(workflow: Workflow) -> Nodes:
    """The recorded nodes, knowing the workflow's models."""
    nodes = recorded_nodes()
    files = [model.file for model in workflow.models]
    for node in workflow.graph.values():
        for group in nodes.get(node["class_type"], {"input": {}})["input"].values():
            for spec in group.values():
                chosen = options(spec)
                if chosen is not None:
                    chosen += files  # type: ignore[operator]
    return nodes


@pytest.mark.parametrize("name", ORDER)
def test_a_shipped_workflow_is_one_that_comfyui_takes(name: str) -> None:
    workflow = packaged()[name]
    if name in UNCHECKED:
        assert workflow.unchecked
        with pytest.raises(Refused, match="does not exist"):
            validated(workflow.graph, stocked(workflow))
        return
    values = {key: value for key, value in workflow.defaults.items() if value is not None}
    graph = workflow.filled({**values, **{one: f"{one}.png" for one in workflow.pictures}, "prompt": "a boat"})

    good, errors = validated(graph, stocked(workflow), ["image.png", "image2.png", "mask.png"])

    assert errors == {}
    assert [graph[one]["class_type"] for one in good] == ["SaveVideo" if workflow.kind == "video" else "SaveImage"]
    assert missing(workflow, graph, stocked(workflow)) == ""
    said = missing(workflow, graph, recorded_nodes())
    assert all(model.file in said and model.url in said for model in workflow.models)
    assert graph == workflow.filled({**values, **{one: f"{one}.png" for one in workflow.pictures}, "prompt": "a boat"})


def test_nodes_that_are_missing_are_named_with_where_to_get_them() -> None:
    cog, ace = packaged()["cogvideox"], packaged()["ace-step"]
    assert "CogVideoSampler" in missing(cog, cog.graph, recorded_nodes())
    assert "ComfyUI-CogVideoXWrapper into ComfyUI's custom_nodes" in missing(cog, cog.graph, recorded_nodes())
    assert "SaveAudioMP3, VAEDecodeAudio. Update ComfyUI" in missing(ace, ace.graph, recorded_nodes())
    with_sound = {**recorded_nodes(), **audio_nodes()}
    assert "ace_step_v1_3.5b.safetensors (7.7 GB" in missing(ace, ace.graph, with_sound)


def test_seconds_become_frames_and_files_are_found_in_folders() -> None:
    wan = packaged()["wan22-video"]
    assert wan.defaults["seconds"] == 3
    assert wan.filled({"seconds": 2})["size"]["inputs"]["length"] == 49
    assert wan.filled({"seconds": 2.1})["size"]["inputs"]["length"] % 4 == 1
    sdxl, nodes = packaged()["sdxl"], recorded_nodes()
    nodes["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0].append("SDXL\\sd_xl_base_1.0.safetensors")
    graph = resolved(sdxl.filled({}), nodes)
    assert graph["model"]["inputs"]["ckpt_name"] == "SDXL\\sd_xl_base_1.0.safetensors"
    assert missing(sdxl, graph, nodes) == ""
    other = sdxl.filled({"model": "mine.ckpt"})
    assert "mine.ckpt is not among the files that CheckpointLoaderSimple knows" in missing(sdxl, other, nodes)


def saved(**more: Any) -> dict[str, Any]:
    """As ComfyUI saves in API format."""
    return {
        "3": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 5},
            "_meta": {"title": "portal:width=width"},
        },
        "4": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": "", "clip": ["5", 1]},
            "_meta": {"title": "Portal:Prompt"},
        },
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}, **more},
    }


def test_a_workflow_of_ones_own_names_its_inputs_by_titles(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(saved()), encoding="utf-8")
    own, wrong = workflows(tmp_path)
    mine = own["mine"]
    assert (mine.kind, mine.defaults, wrong) == ("image", {"width": 64, "prompt": ""}, {})
    assert next(iter(own)) == "mine"
    filled = mine.filled({"width": "128", "prompt": "a"})
    assert (filled["3"]["inputs"]["width"], filled["4"]["inputs"]["text"]) == (128, "a")
    with pytest.raises(MediaRefused, match="has no input 'size'; it has width, prompt"):
        mine.filled({"size": 1})
    with pytest.raises(MediaRefused, match="is a number"):
        mine.filled({"width": "wide"})

    mapped = {"graph": saved(), "inputs": {"flag": {"node": "3", "input": "color"}}, "kind": "image"}
    assert parse("mapped", mapped).filled({"flag": 2})["3"]["inputs"]["color"] == 2
    words = {"graph": saved(), "inputs": {"prompt": {"node": "9", "input": "filename_prefix", "text": "a photo of {}"}}}
    assert parse("words", words).filled({"prompt": "x"})["9"]["inputs"]["filename_prefix"] == "a photo of x"
    assert parse("words", words).defaults == {"prompt": None}
    yes = saved()
    yes["3"]["inputs"]["on"] = True
    switch = parse("switch", {"graph": yes, "inputs": {"on": {"node": "3", "input": "on"}}})
    assert switch.filled({"on": False})["3"]["inputs"]["on"] is False
    with pytest.raises(MediaRefused, match="true or false"):
        switch.filled({"on": "no"})


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ([], "no JSON object"),
        ({"nodes": [], "links": []}, r"Export \(API\)"),
        ({}, "API format"),
        ({"1": {"class_type": "SaveImage"}}, "API format"),
        ({"1": {"class_type": "Foo", "inputs": {}}}, "nothing in it saves"),
        (saved(_meta={"title": "portal:x=gone"}), "API format"),
        ({**saved(), "3": {**saved()["3"], "_meta": {"title": "portal:size"}}}, "which input it means"),
        ({"graph": saved(), "inputs": {"a": {"node": "77", "input": "x"}}}, "API format"),
        ({"graph": saved(), "inputs": {}, "kind": "hologram"}, "hologram"),
    ],
)
def test_what_is_no_workflow_is_refused_with_a_reason(raw: Any, why: str) -> None:
    with pytest.raises(MediaRefused, match=why):
        parse("odd", raw)


def test_files_that_cannot_be_read_are_told_of_and_leave_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "huge.json").write_bytes(b" " * (4 * 2**20 + 1))
    known, wrong = workflows(tmp_path)
    assert set(wrong) == {"broken", "huge"}
    assert set(known) == set(ORDER)
    with pytest.raises(MediaRefused, match="cannot be read"):
        load(tmp_path / "gone.json")
