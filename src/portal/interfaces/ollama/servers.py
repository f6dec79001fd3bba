"""Which Ollama server a call is for: the one that has the model, or shall have it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from portal.core.ask import Ask
from portal.core.decision import Route
from portal.core.model import ModelInfo
from portal.core.ports import Backend, Forwarding, Models
from portal.errors import ModelNotFound, NoModel
from portal.interfaces.ollama.ports import Backends

_NONE = (
    "No Ollama server is connected to Portal. Install Ollama and start it, or add the address of one under Models in "
    "the page or with `portal backends add`; a model file for the engine inside Portal is fetched with "
    "`portal models pull`."
)


@dataclass(frozen=True, slots=True)
class Place:
    """A model on an Ollama server, by the name it has there."""

    name: str
    server: Forwarding
    model: str


class OllamaServers:
    """The Ollama servers in use."""

    def __init__(self, *, models: Models, backends: Backends) -> None:
        self._models = models
        self.backends = backends

    def all(self) -> Mapping[str, Forwarding]:
        """By name, in their order."""
        return {backend.name: cast(Forwarding, backend) for backend in self.backends.speaking("ollama")}

    def first(self) -> tuple[str, Forwarding]:
        """The one for what names no model. Raises NoModel where there is none."""
        for name, server in self.all().items():
            return name, server
        raise NoModel(_NONE, code="no_ollama_server")

    def at(self, route: Route) -> Place | None:
        """Where a route leads, if that is to an Ollama server."""
        return self._place(route.backend, route.model)

    def having(self, model: str) -> Place | None:
        """Where this model is, if an Ollama server has it. Raises ModelNotFound."""
        return self._place(*self._models.find(model))

    def _place(self, backend: Backend, info: ModelInfo) -> Place | None:
        server = self.all().get(backend.name)
        if server is None:
            return None
        known = backend is cast(Backend, server)
        return Place(backend.name, server, info.id if known else info.id.removeprefix(f"{backend.name}/"))

    def meant(self, model: str) -> Place:
        """The server that has the model; else the one that its name begins with; else the first.

        Raises:
            NoModel: there is no Ollama server.
        """
        name, server = self.first()
        try:
            return self.having(model) or Place(name, server, model)
        except ModelNotFound:
            prefix, _, rest = model.partition("/")
            named = self.all().get(prefix)
            return Place(prefix, named, rest) if named is not None and rest else Place(name, server, model)

    def nearest(self, model: str) -> Sequence[str]:
        """The closest names there are, for one that is not."""
        try:
            self._models.find(model)
        except ModelNotFound as error:
            return error.nearest
        return ()

    def route(self, model: str, owner: str) -> Route:
        """See Models."""
        return self._models.route(Ask(model=model, owner=owner))


def is_same(one: str, other: str) -> bool:
    """Whether two names mean one model to Ollama."""
    return one.removesuffix(":latest") == other.removesuffix(":latest")
