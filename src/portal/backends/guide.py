"""`portal-guide`: a model without weights that answers questions about Portal by quoting the manual.

It writes nothing of its own but the words around a quotation (`guide_strings.toml`). Sections are found by
`passages`, cut to size by `quotation`; the manual is read and indexed at the first question.
"""

import asyncio
import re
import tomllib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from portal.backends.gist import Gists
from portal.backends.manual import Manual, Section, packaged_manual
from portal.backends.passages import Hit, Passages
from portal.backends.quotation import quotation
from portal.backends.weight import Asked
from portal.backends.words import Lexicon, packaged_lexicon, words
from portal.core.model import (
    ChatMessage,
    Citation,
    Finished,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    TextDelta,
    TokenUsage,
)
from portal.core.passages import Embedder
from portal.core.tokens import estimate, estimate_messages
from portal.settings import BackendSettings, Settings

MODEL = "portal-guide"
ALSO = 0.6
"""How close the second best section must come to be named as well."""
END = 500
"""Characters of either end of a long text that are taken for the question. Every word of it costs time."""

_DELTA = re.compile(r".{1,40}(?:\s+|$)|.+", re.DOTALL)
_LINKED = re.compile(r"\]\((/manual/[\w-]+#[\w-]+)\)")


@dataclass(frozen=True, slots=True)
class Answer:
    """The text and what it cites."""

    text: str
    citations: Sequence[Citation] = ()


class Guide:
    """Answers a question from a manual; no I/O after the first. An embedder, where there is one, helps."""

    def __init__(self, *, manual: Manual, lexicon: Lexicon | None = None, embedder: Embedder | None = None) -> None:
        self._manual = manual
        self._embedder = embedder
        self._given = lexicon
        self._indexing = asyncio.Lock()
        self._indexed = False

    @cached_property
    def _lexicon(self) -> Lexicon:
        return self._given or packaged_lexicon()

    @cached_property
    def _passages(self) -> Passages:
        return Passages(sections=self._manual.sections(), lexicon=self._lexicon)

    @cached_property
    def _strings(self) -> Mapping[str, Mapping[str, str]]:
        return tomllib.loads((files("portal.backends") / "guide_strings.toml").read_text(encoding="utf-8"))

    @cached_property
    def _gists(self) -> Gists | None:
        return Gists(embedder=self._embedder, sections=self._manual.sections()) if self._embedder else None

    async def search(self, questions: Sequence[str]) -> tuple[list[Asked], list[Hit]]:
        """What the last question asks, understood after those before it, and the sections for it, best first."""
        await self._index()
        *earlier, question = questions
        if earlier and self._follows(question):
            question = f"{earlier[-1]} {question}"
        asked = self._ask(question)
        felt = await self._gists.felt(self._passages.mended(question)) if self._gists else ()
        return asked, self._passages.search(asked, question, felt)

    async def answer(self, questions: Sequence[str]) -> Answer:
        """The quotation that answers the last question, or an honest refusal, with a next step."""
        await self._index()
        strings = self._strings[self._language(questions[-1])]
        asked, hits = await self.search(questions)
        if not hits or not hits[0].answers:
            closest = strings["closest"].format(links=_links([hit.section for hit in hits[:1]]))
            return Answer("\n\n".join([strings["refusal"], *([closest] if hits else [])]))
        section = hits[0].section
        quoted = quotation(section.text, lambda text: self._passages.weigh(text, asked))
        source = strings["source"].format(links=_links([section]))
        steps = self._steps(hits, quoted)
        after = [strings["next"].format(links=_links(steps))] if steps else []
        return Answer("\n\n".join([quoted, source, *after]), [_citation(section, len(quoted))])

    async def _index(self) -> None:
        """It takes seconds on a slow machine, in which nobody else is to wait: once, and beside the event loop."""
        async with self._indexing:
            if not self._indexed:
                await asyncio.to_thread(lambda: self._passages.index())
                self._indexed = True

    def _ask(self, question: str) -> list[Asked]:
        return self._passages.ask(question, german=self._language(question) == "de")

    def _follows(self, question: str) -> bool:
        """Whether a question leans on the one before: it begins or refers back like one, or has hardly a subject."""
        signs = self._strings[self._language(question)]["follow_up"].split()
        return bool(set(words(question)) & set(signs)) or len(self._ask(question)) < 2

    def _language(self, question: str) -> str:
        """The language whose commonest words the question has most of, and where it has none of any, German if it has
        a word that only German has; English when in doubt."""
        found = set(words(question))
        signs = {language: len(found & set(strings["signs"].split())) for language, strings in self._strings.items()}
        german = not any(signs.values()) and any(map(self._passages.only_german, found))
        return "de" if german else max(signs, key=lambda language: signs[language])

    def _steps(self, hits: Sequence[Hit], quoted: str) -> list[Section]:
        """What people often need afterwards: the section that the quoted one refers to, else the one below it on its
        page; and the second best hit when it is nearly as good."""
        section = hits[0].section
        page = [each for each in self._manual.page(section.page).sections if each.text]
        place = page.index(section) + 1
        linked = [each for url in _LINKED.findall(section.text) for each in self._manual.sections() if each.url == url]
        steps = [*linked[:1], *page[place : place + 1]][:1]
        close = [hit.section for hit in hits[1:2] if hit.score >= ALSO * hits[0].score]
        return list(dict.fromkeys(step for step in [*steps, *close] if step != section))


class GuideBackend:
    """Implements Backend over a Guide."""

    kind = "guide"
    url = ""

    def __init__(self, *, manual: Manual, name: str = "guide", embedder: Embedder | None = None) -> None:
        self.name = name
        self._guide = Guide(manual=manual, embedder=embedder)

    async def models(self) -> Sequence[ModelInfo]:
        """One, always there."""
        about = "Answers questions about Portal from its manual, without a language model"
        return [ModelInfo(id=MODEL, backend=self.name, family="manual", loaded=True, description=about)]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The answer to the last user message in a few pieces, then its citations. Never fails."""
        answer = await self._guide.answer(_questions(request))
        for piece in _DELTA.findall(answer.text):
            yield TextDelta(piece)
        for citation in answer.citations:
            yield citation
        yield Finished("stop")
        asked = estimate_messages(request.messages) if request.messages else estimate(str(request.prompt))
        yield TokenUsage(asked, estimate(answer.text), estimated=True)

    async def aclose(self) -> None:
        """Nothing to release."""


def create(server: BackendSettings, settings: Settings) -> GuideBackend:
    """The guide over the manual of this installation."""
    return GuideBackend(manual=packaged_manual(), name=server.name or "guide")


def _questions(request: ModelRequest) -> list[str]:
    """The texts of the user's turns, oldest first; at least one, be it empty."""
    if request.prompt is not None:
        return [_ends(request.prompt if isinstance(request.prompt, str) else "\n".join(request.prompt))]
    return [_ends(_text(message)) for message in request.messages if message.get("role") == "user"] or [""]


def _ends(text: str) -> str:
    """Of a text that is longer than any question, where it begins and where it ends: the question is in one of them."""
    return text if len(text) <= 2 * END else f"{text[:END]} {text[-END:]}"


def _text(message: ChatMessage) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(_parts(content))


def _parts(content: Sequence[Mapping[str, object]]) -> Iterator[str]:
    return (str(part["text"]) for part in content if part.get("type") == "text")


def _name(section: Section) -> str:
    return section.title if section.level == 1 else f"{section.page_title} › {section.title}"


def _links(sections: Sequence[Section]) -> str:
    return ", ".join(f"[{_name(section)}]({section.url})" for section in sections)


def _citation(section: Section, end: int) -> Citation:
    source = {"url": section.url, "title": _name(section)}
    return Citation({"type": "url_citation", "start_index": 0, "end_index": end, **source})
