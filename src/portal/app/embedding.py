"""The embedder: which one, and the background work that its change is; also where nothing can embed."""

from portal.app.ground import Ground
from portal.core.items import JsonObject
from portal.core.passages import Embedder
from portal.errors import BadRequest
from portal.knowledge.embedders import Embedders
from portal.knowledge.likeness import EmbeddedLikeness
from portal.knowledge.minilm import MiniLM, is_installed, missing
from portal.routing.second_look import SecondLook


class NoEmbedder:
    """The choice where there is none."""

    def current(self) -> None:
        """Nothing."""

    async def status(self) -> JsonObject:
        """See Choice."""
        nothing = {"name": "", "dimensions": 0, "wanted": "", "embedded": 0, "waiting": 0}
        return {**nothing, "available": False, "detail": missing(), "choices": [], "suggested": ""}

    async def choose(self, model: str) -> None:
        """See Choice."""
        raise BadRequest(missing())


def packaged_embedder() -> Embedder | None:
    """The one that comes with the install, where what it needs is there."""
    return MiniLM() if is_installed() else None


async def open_likeness(ground: Ground, own: Embedder | None) -> EmbeddedLikeness | None:
    """What helps to choose tools, where there is an embedder."""
    if own is None:
        return None
    likeness = EmbeddedLikeness(embedder=own)
    ground.keep_going(choice_of_tools=likeness.run)
    return likeness


def open_second_look(ground: Ground, own: Embedder | None) -> None:
    """Let the router ask what a request means, where there is an embedder."""
    if own is None:
        return
    look = SecondLook(embedder=own)
    ground.router.look_again(look)
    ground.keep_going(second_look=look.run)


async def open_embedding(ground: Ground, own: Embedder | None) -> Embedders | NoEmbedder:
    """The choice of embedders, if there is any; passages without vectors get them."""
    if own is None:
        return NoEmbedder()
    embedders = Embedders(
        own=own,
        model=ground.settings.knowledge.embedder,
        models=ground.router,
        passages=ground.storage.passages,
        key_values=ground.storage.key_values,
        on_change=lambda: ground.bus.publish(None, "embedder.changed"),
        duty=ground.cluster.duty,
    )
    ground.cluster.renew({"embedder.changed": embedders.again})
    ground.keep_going(embedder=embedders.run)
    return embedders
