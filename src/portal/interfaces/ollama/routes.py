"""All routes of Ollama's API."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from portal.core.ports import Models, UsageLog
from portal.interfaces.acting import Acting
from portal.interfaces.ollama.chat import chat_routes
from portal.interfaces.ollama.embed import embed_routes
from portal.interfaces.ollama.managing import managing_routes
from portal.interfaces.ollama.models import models_routes
from portal.interfaces.ollama.ports import Backends
from portal.interfaces.ollama.servers import OllamaServers


def ollama_routes(*, models: Models, acting: Acting, usage: UsageLog, backends: Backends) -> Sequence[BaseRoute]:
    """The last of them takes whatever else is asked below `/api/`."""
    servers = OllamaServers(models=models, backends=backends)
    return [
        *chat_routes(models=models, acting=acting, usage=usage, servers=servers),
        *embed_routes(models=models, usage=usage),
        *models_routes(models=models, servers=servers),
        *managing_routes(servers=servers),
    ]
