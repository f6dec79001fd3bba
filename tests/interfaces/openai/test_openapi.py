import re

import pytest
import pytest_asyncio

from portal.core.toolbox import Toolbox
from portal.interfaces.acting import Acting
from portal.interfaces.anthropic.messages import messages_routes
from portal.interfaces.anthropic.models import models_routes as anthropic_models_routes
from portal.interfaces.ollama.routes import ollama_routes
from portal.interfaces.openai.audio import audio_routes
from portal.interfaces.openai.chat import chat_routes
from portal.interfaces.openai.completions import completions_routes
from portal.interfaces.openai.conversations import conversations_routes
from portal.interfaces.openai.embeddings import embeddings_routes
from portal.interfaces.openai.files import files_routes
from portal.interfaces.openai.images import image_routes
from portal.interfaces.openai.models import models_routes
from portal.interfaces.openai.rerank import rerank_routes
from portal.interfaces.openai.responses import responses_routes
from portal.interfaces.openai.speech import speech_routes
from portal.interfaces.openai.vector_store_files import vector_store_file_routes
from portal.interfaces.openai.vector_stores import vector_store_routes
from portal.speech.hearing import Listener
from portal.speech.speaking import Speaking

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def document(api):
    await api.get("/openapi.json")
    return (await api.get("/openapi.json")).json()


async def test_the_document_has_every_route_and_no_other(document, portal):
    storage, models, agent = portal.portal.storage, portal.portal.models, portal.portal.agent
    acting = Acting(agent=agent, models=models, toolbox=Toolbox(toolsets=tuple), keep_alive=15)
    routes = [
        *chat_routes(
            models=models,
            acting=acting,
            usage=storage.usage,
            conversations=storage.conversations,
            responses=storage.responses,
            keep_alive=15,
        ),
        *completions_routes(models=models, usage=storage.usage, keep_alive=15),
        *embeddings_routes(models=models, usage=storage.usage),
        *rerank_routes(models=models, usage=storage.usage, otherwise=lambda: None),
        *responses_routes(
            agent=agent, responses=storage.responses, collections=storage.collections, files=storage.files
        ),
        *conversations_routes(
            conversations=storage.conversations, responses=storage.responses, agent=agent, files=storage.files
        ),
        *files_routes(files=storage.files),
        *image_routes(studio=portal.portal.media, files=storage.files, usage=storage.usage, keep_alive=15),
        *vector_store_routes(library=storage),
        *vector_store_file_routes(library=storage),
        *models_routes(models=models),
        *audio_routes(transcriber=Listener(engines=list), usage=storage.usage),
        *speech_routes(speaker=Speaking(engines=list), usage=storage.usage),
        *messages_routes(models=models, acting=acting, usage=storage.usage, aliases={}, keep_alive=15),
        *anthropic_models_routes(models=models, aliases={}),
        *ollama_routes(models=models, acting=acting, usage=storage.usage, backends=models)[
            :-1
        ],  # the last one takes the rest
    ]
    served = {
        (re.sub(r":path\}", "}", route.path), method)
        for route in routes
        for method in getattr(route, "methods", ())
        if method != "HEAD" or ("GET" not in route.methods and "POST" in route.methods)
    }
    told = {
        (path, method.upper())
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith(("/v1/", "/api/")) and path != "/api/dry-run"
    }
    assert told == served


async def test_every_reference_leads_somewhere(document):
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', str(document).replace("'", '"')))
    assert names
    assert names <= document["components"]["schemas"].keys()


async def test_bodies_queries_and_failures_are_told(document):
    create = document["paths"]["/v1/responses"]["post"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    assert "temperature" in document["components"]["schemas"][schema]["properties"]
    assert "text/event-stream" in create["responses"]["200"]["content"]
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/OpenAIError")
    messages = document["paths"]["/v1/messages"]["post"]
    assert messages["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/AnthropicError")
    ollama = document["paths"]["/api/chat"]["post"]
    assert "messages" in ollama["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "application/x-ndjson" in ollama["responses"]["200"]["content"]
    listed = document["paths"]["/v1/files"]["get"]["parameters"]
    assert [parameter["name"] for parameter in listed] == ["limit", "after", "order", "purpose"]
    assert "multipart/form-data" in document["paths"]["/v1/files"]["post"]["requestBody"]["content"]
