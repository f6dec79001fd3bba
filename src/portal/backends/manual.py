"""The manual as data: pages of Markdown, cut into sections at their headings.

A section's id is the slug of its heading: lower case, every run of other characters than a-z and 0-9 one hyphen.
Links between pages (`data.md#make-a-backup`) are rewritten to where Portal serves them (`/manual/data#make-a-backup`),
those to pictures (`pictures/chat.png`) likewise.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path

from portal.errors import NotFound

_HEADING = re.compile(r"(#{1,6}) +(.+?) *#* *")
_LINK = re.compile(r"\]\((?:([\w-]+)\.md)?(#[\w-]+)?\)")
_PICTURE = re.compile(r"\]\(pictures/([\w-]+\.png)\)")
_PROMINENCE = re.compile(r"<!-- guide: ([\d.]+) -->")
_ASKED = re.compile(r"<!-- asked: (.+) -->")
_COMMENT = re.compile(r"<!--.*-->")


@dataclass(frozen=True, slots=True)
class Section:
    """One heading with the text below it, up to the next heading."""

    page: str
    id: str
    title: str
    page_title: str
    level: int
    """1 is the page's own heading."""
    text: str
    prominence: float = 1.0
    """How readily the guide quotes it; `<!-- guide: 0.7 -->` below a heading sets it from there on."""
    asked: Sequence[str] = ()
    """Other words in which people ask for it, as in the index of a book: `<!-- asked: log in; get in -->`."""

    @property
    def url(self) -> str:
        """Where the page shows this section."""
        return f"/manual/{self.page}#{self.id}"


@dataclass(frozen=True, slots=True)
class ManualPage:
    """One file of the manual."""

    id: str
    title: str
    markdown: str
    sections: Sequence[Section]


class Manual:
    """The pages of a folder of Markdown files; read at first use, then kept."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder

    @cached_property
    def _pages(self) -> dict[str, ManualPage]:
        found = (entry for entry in self._folder.iterdir() if entry.name.endswith(".md"))
        pages = (_page(entry.name.removesuffix(".md").lower(), entry.read_text(encoding="utf-8")) for entry in found)
        return {page.id: page for page in sorted(pages, key=lambda page: page.id)}

    def pages(self) -> Sequence[ManualPage]:
        """All pages, by id."""
        return list(self._pages.values())

    def page(self, page_id: str) -> ManualPage:
        """Raises NotFound."""
        try:
            return self._pages[page_id]
        except KeyError:
            raise NotFound(f"The manual has no page {page_id!r}.") from None

    def picture(self, name: str) -> bytes:
        """A PNG of the manual. Raises NotFound."""
        found = self._folder / "pictures" / name
        if not re.fullmatch(r"[\w-]+\.png", name) or not found.is_file():
            raise NotFound(f"The manual has no picture {name!r}.")
        return found.read_bytes()

    def sections(self) -> Sequence[Section]:
        """Every section with text, in the order of the pages."""
        return [section for page in self._pages.values() for section in page.sections if section.text]


def packaged_manual() -> Manual:
    """The manual of this installation: package data, or `docs/` of the checkout it runs from."""
    packaged = files("portal") / "manual"
    return Manual(packaged if packaged.is_dir() else Path(__file__).parents[3] / "docs")


def slug(title: str) -> str:
    """The id of a heading."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _page(page_id: str, source: str) -> ManualPage:
    text = _LINK.sub(lambda link: f"](/manual/{(link[1] or page_id).lower()}{link[2] or ''})", source)
    text = _PICTURE.sub(r"](/portal/v1/manual/pictures/\1)", text)
    cuts = list(_cut(text))
    title = cuts[0].title if cuts else page_id
    sections = [
        Section(page_id, slug(cut.title), cut.title, title, cut.level, cut.text, cut.prominence, tuple(cut.asked))
        for cut in cuts
    ]
    markdown = "\n".join(line for line in text.splitlines() if not _COMMENT.fullmatch(line))
    return ManualPage(page_id, title, markdown, sections)


@dataclass(slots=True)
class _Cut:
    level: int
    title: str
    prominence: float
    lines: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()


def _cut(markdown: str) -> Iterator[_Cut]:
    """A page at its headings, code blocks apart; what stands before the first heading is left out."""
    cut = _Cut(1, "", 1.0)
    prominence = 1.0
    fenced = False
    for line in markdown.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and (heading := _HEADING.fullmatch(line)):
            if cut.title:
                yield cut
            cut = _Cut(len(heading[1]), heading[2], prominence)
        elif mark := _PROMINENCE.fullmatch(line):
            prominence = float(mark[1])
            cut.prominence = cut.prominence if cut.text else prominence
        elif index := _ASKED.fullmatch(line):
            cut.asked += index[1].split("; ")
        elif not _COMMENT.fullmatch(line):
            cut.lines.append(line)
    if cut.title:
        yield cut
