"""PowerPoint files: a section a slide, in the order they are shown, with the speaker's notes."""

from posixpath import dirname, join, normpath

from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_office import Words, properties
from portal.knowledge.extract_xml import Attributes, Silent, walk
from portal.knowledge.extract_zip import Archive

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("sldNum", "dt", "ftr", "sldImg")


def read_pptx(archive: Archive, draft: Draft) -> None:
    """Slides are pages."""
    properties(archive, draft)
    main = "ppt/presentation.xml"
    order = Order()
    walk(archive.read(main), order)
    targets = relations(archive, main)
    slides = [targets[each] for each in order.ids if each in targets]
    draft.pages = len(slides)
    for number, name in enumerate(slides, 1):
        if not archive.has(name):
            draft.warn(f"Slide {number} is missing.")
            continue
        draft.page = number
        _slide(archive, name, number, draft)
    draft.page = None


def _slide(archive: Archive, name: str, number: int, draft: Draft) -> None:
    slide = archive.read(name)
    title = Draft()
    walk(slide, _Shapes(title, titles=True))
    draft.heading(1, title.done().text or f"Slide {number}")
    walk(slide, _Shapes(draft, titles=False))
    for target in relations(archive, name).values():
        if "/notesSlides/" in target and archive.has(target):
            draft.heading(2, "Notes")
            walk(archive.read(target), _Shapes(draft, titles=False))


class _Shapes(Words):
    """The paragraphs of the title, or those of all other shapes, as lines."""

    def __init__(self, draft: Draft, *, titles: bool) -> None:
        super().__init__(draft, {}, lines=True)
        self._titles = titles
        self.hidden = titles

    def start(self, name: str, attributes: Attributes) -> None:
        if name in ("sp", "graphicFrame"):
            self.hidden = self._titles
        elif name == "ph":
            kind = attributes.get("type", "")
            self.hidden = (kind in _TITLES) != self._titles or kind in _FURNITURE
        super().start(name, attributes)

    def end(self, name: str) -> None:
        super().end(name)
        if name == "sp":
            self.hidden = self._titles
            self.end_list()


class Order(Silent):
    """The ids of relations that a presentation or workbook lists, with the names that it gives them."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.from_1904 = False

    def start(self, name: str, attributes: Attributes) -> None:
        """Keep it, if it is one of them."""
        if name in ("sldId", "sheet"):
            key = next((value for each, value in attributes.items() if each.endswith(":id")), "")
            self.ids[key] = attributes.get("name", "")
        elif name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in ("1", "true")


def relations(archive: Archive, name: str) -> dict[str, str]:
    """Which files a part names, by id."""
    folder, _, file = name.rpartition("/")
    path = f"{folder}/_rels/{file}.rels"
    found = _Relations(dirname(name))
    if archive.has(path):
        walk(archive.read(path), found)
    return found.targets


class _Relations(Silent):
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.targets: dict[str, str] = {}

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else normpath(join(self._folder, target))
            self.targets[attributes.get("Id", "")] = path
