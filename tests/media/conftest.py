from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from portal.testing.comfyui_rules import Nodes
from portal.testing.comfyui_server import ComfyUIServer
from portal.testing.portal import TestPortal, open_test_portal

MODELS = {
    "ckpt_name": ["sd_xl_base_1.0.safetensors", "flux1-schnell-fp8.safetensors"],
    "unet_name": ["wan2.2_ti2v_5B_fp16.safetensors"],
    "clip_name": ["umt5_xxl_fp8_e4m3fn_scaled.safetensors"],
    "vae_name": ["wan2.2_vae.safetensors"],
}


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    async with ComfyUIServer(models=MODELS) as server:
        yield server


@asynccontextmanager
async def studio_at(data: Path, *engines: dict[str, Any], **media: Any) -> AsyncIterator[TestPortal]:
    settings = {"media": {"engines": engines, **media}}
    async with open_test_portal(data, settings=settings) as portal:
        yield portal


@pytest.fixture
async def portal(tmp_path: Path, comfy: ComfyUIServer) -> AsyncIterator[TestPortal]:
    async with studio_at(tmp_path / "data", {"kind": "comfyui", "url": comfy.url}) as opened:
        yield opened


@pytest.fixture
def client(portal: TestPortal) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0)


def audio_nodes() -> Nodes:
    """Nodes that were not recorded, as the workflows take them to be."""
    return {
        "VAEDecodeAudio": {
            "input": {"required": {"samples": ["LATENT", {}], "vae": ["VAE", {}]}},
            "output": ["AUDIO"],
            "output_node": False,
        },
        "SaveAudioMP3": {
            "input": {
                "required": {
                    "audio": ["AUDIO", {}],
                    "filename_prefix": ["STRING", {}],
                    "quality": [["V0", "128k", "320k"], {}],
                }
            },
            "output": [],
            "output_node": True,
        },
    }
