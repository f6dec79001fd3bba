"""Web pages as people read them: what a page is about, as Markdown, without menus, banners and scripts."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_NOISE = (
    "script, style, noscript, template, svg, canvas, iframe, object, embed, nav, aside, dialog, body > footer, "
    "body > header, [hidden], [aria-hidden=true], [role=navigation], [role=banner], [role=contentinfo], "
    "[role=search], [role=dialog], [role=complementary]"
)
_NOISY = re.compile(
    r"(?i)(^|[\s_-])(cookie|consent|advert|ads?|sidebar|share|sharing|social|comments?|related|newsletter|breadcrumbs?|"
    r"promo|popup|modal|menu|navbar|pagination|footer)([\s_-]|$)"
)
_BLOCKS = {"p", "div", "section", "article", "main", "header", "footer", "figure", "figcaption", "address", "form",
           "fieldset", "details", "summary", "dl", "dt", "dd", "body", "html"}  # fmt: skip
_CHARSET = re.compile(rb"""(?i)<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)""")


LARGEST = 1_500_000
"""Characters of a page that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A page's title and its text."""

    title: str
    text: str


def decoded(body: bytes, content_type: str) -> str:
    """The text of an answer, by its header, its own word or UTF-8."""
    stated = re.search(r"(?i)charset\s*=\s*[\"']?([\w-]+)", content_type)
    written = _CHARSET.search(body[:4096])
    charset = stated[1] if stated else written[1].decode() if written else "utf-8"
    try:
        return body.decode(charset, errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


def readable(html: str, url: str) -> Readable:
    """What the page says, its links absolute."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(html[:LARGEST])
    title = page.css_first("title, h1")
    heading = _flat(title.text()) if title else ""
    if page.body is None:
        return Readable(title=heading, text="")
    noise = {node.mem_id for node in page.css(_NOISE)}
    noise |= {node.mem_id for node in page.css("[class], [id]") if _is_noisy(node)}
    root = _main(page.body, noise)
    try:
        made = _Writer(urljoin(url, _base(page)), noise).block(root)
    except RecursionError:
        made = _words(root)
    return Readable(title=heading, text=re.sub(r"\n{3,}", "\n\n", made).strip())


def _base(page: "LexborHTMLParser") -> str:
    found = page.css_first("base[href]")
    return (found.attributes.get("href") or "") if found else ""


def _is_noisy(node: "LexborNode") -> bool:
    """Whether its names say that it is beside the point."""
    names = f"{node.attributes.get('class') or ''} {node.attributes.get('id') or ''}"
    return node.tag not in ("html", "body", "main", "article") and bool(_NOISY.search(names))


def _main(body: "LexborNode", noise: set[int]) -> "LexborNode":
    """The part that holds the text: what says so itself, else the box around most of the paragraphs."""
    whole = _size(body)
    for selector in ("main, [role=main]", "article"):
        found = body.css(selector)
        if len(found) == 1 and _size(found[0]) > whole * 0.2:
            return found[0]
    scores: Counter[int] = Counter()
    boxes: dict[int, LexborNode] = {}
    total = 0
    for each in body.css("p, pre, li, td"):
        size, box, share = len(each.text()), each.parent, 1.0
        total += size
        while box is not None and box.mem_id not in noise and share > 0.2:
            boxes[box.mem_id] = box
            scores[box.mem_id] += int(size * share)
            box, share = box.parent, share / 2
    best, most = scores.most_common(1)[0] if scores else (0, 0)
    return boxes[best] if most > total * 0.5 and total > whole * 0.3 else body


def _size(node: "LexborNode") -> int:
    """Characters of text, without those of programs."""
    return len(node.text()) - sum(len(each.text()) for each in node.css("script, style, template"))


def _words(root: "LexborNode") -> str:
    """The plain text, for pages that are nested too deeply to be laid out."""
    texts = (node for node in root.traverse(include_text=True) if node.tag == "-text")
    kept = (node for node in texts if node.parent is None or node.parent.tag not in ("script", "style"))
    return "\n".join(filter(None, (_flat(node.text()) for node in kept)))


def _flat(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip()


class _Writer:
    """Markdown of one page."""

    def __init__(self, url: str, noise: set[int]) -> None:
        self._url = url
        self._noise = noise

    def block(self, node: "LexborNode") -> str:
        """The children of a node, blocks apart from each other."""
        parts, line = [], ""
        for child in self._children(node):
            made = self._special(child)
            if made is None:
                line += self._inline(child)
                continue
            parts += [_tidy(line), made]
            line = ""
        return "\n\n".join(part for part in [*parts, _tidy(line)] if part.strip())

    def _special(self, node: "LexborNode") -> str | None:
        """A node that stands on lines of its own; None for what runs along in a line."""
        tag = node.tag or ""
        if re.fullmatch("h[1-6]", tag):
            words = self._line(node)
            return f"{'#' * int(tag[1])} {words}" if words else ""
        if tag in ("ul", "ol"):
            return self._list(node, ordered=tag == "ol")
        if tag == "pre":
            return f"```\n{(node.text() or '').strip()}\n```"
        if tag == "blockquote":
            return "\n".join(f"> {line}".rstrip() for line in self.block(node).splitlines())
        if tag == "table":
            return self._table(node)
        if tag == "hr":
            return "---"
        return self.block(node) if tag in _BLOCKS else None

    def _list(self, node: "LexborNode", *, ordered: bool) -> str:
        items = [self.block(child).replace("\n\n", "\n") for child in self._children(node) if child.tag == "li"]
        lines = []
        for number, item in enumerate((item for item in items if item.strip()), 1):
            mark = f"{number}." if ordered else "-"
            lines.append(f"{mark} " + item.replace("\n", "\n" + " " * (len(mark) + 1)))
        return "\n".join(lines)

    def _table(self, node: "LexborNode") -> str:
        if node.css_first("table table, ul, ol, pre, h1, h2, h3"):
            return "\n\n".join(
                filter(None, (self.block(cell) for cell in node.css("td, th") if len(cell.css("td, th")) < 2))
            )
        rows = [[self._line(cell).replace("|", r"\|") for cell in row.css("td, th")] for row in node.css("tr")]
        rows = [row for row in rows if any(row)]
        if not rows:
            return ""
        wide = max(len(row) for row in rows)
        lines = [f"| {' | '.join([*row, *[''] * (wide - len(row))])} |" for row in rows]
        return "\n".join([lines[0], f"|{'---|' * wide}", *lines[1:]])

    def _line(self, node: "LexborNode") -> str:
        return _flat("".join(self._inline(child) for child in self._children(node)))

    def _inline(self, node: "LexborNode") -> str:
        tag = node.tag or ""
        if tag == "-text":
            return re.sub(r"\s+", " ", node.text() or "")
        if tag == "br":
            return "\n"
        if tag == "img":
            words = _flat(node.attributes.get("alt"))
            return f"[picture: {words}]" if words else ""
        if tag == "code":
            return f"`{_flat(node.text())}`"
        words = "".join(self._inline(child) for child in self._children(node))
        if tag == "a":
            return self._link(words, node.attributes.get("href") or "")
        mark = {"strong": "**", "b": "**", "em": "*", "i": "*"}.get(tag, "")
        return f"{mark}{words.strip()}{mark}" if mark and words.strip() else words + (" " if tag in _BLOCKS else "")

    def _children(self, node: "LexborNode") -> Iterator["LexborNode"]:
        return (child for child in node.iter(include_text=True) if child.mem_id not in self._noise)

    def _link(self, words: str, href: str) -> str:
        try:
            target = urljoin(self._url, href.strip())
        except ValueError:
            return words
        plain = _flat(words)
        if not plain or href.startswith("#") or not target.startswith(("http://", "https://")):
            return words
        return f"[{plain}]({target})"


def _tidy(line: str) -> str:
    return re.sub(r" *\n *", "\n", re.sub(r"[ \t]+", " ", line)).strip()
