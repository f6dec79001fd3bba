"""Excel files that are there, changed in their own XML: cells, rows and sheets. Charts, pictures, rules, names and
whatever else a file holds stay byte for byte as they are."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from portal.errors import ToolError
from portal.tools.office.cellstyles import Styles
from portal.tools.office.sheet_xml import NS, SheetXml, text_of

_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
_LARGEST_PART = 64 * 2**20
_EMPTY = f'<worksheet xmlns="{NS}" xmlns:r="{_R}"><sheetData/></worksheet>'


class Workbook:
    """One file; what is asked for is read, what was changed is written."""

    def __init__(self, data: bytes) -> None:
        """Raises ToolError."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as file:
                self._parts = {one.filename: file.read(one) for one in file.infolist() if not one.is_dir()}
        except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
            raise ToolError("This Excel file is damaged: it cannot be unpacked.") from error
        self._trees: dict[str, Any] = {}
        self._book = self._tree("xl/workbook.xml")
        self._paths = dict(self._found())
        self._sheets: dict[str, SheetXml] = {}
        self._strings: list[Any] | None = None
        self.styles = Styles(self._tree("xl/styles.xml"))

    @property
    def names(self) -> list[str]:
        """Of the sheets, in their order."""
        return list(self._paths)

    def sheet(self, name: str = "") -> SheetXml:
        """The sheet of that name, the first one where none is named. Raises ToolError with those there are."""
        wanted = name.strip().strip("'").lower()
        found = next((one for one in self._paths if one.lower() == wanted or not wanted), None)
        if found is None:
            raise ToolError(f"There is no sheet {name!r}; the sheets are: {', '.join(self.names)}.")
        if found not in self._sheets:
            self._sheets[found] = SheetXml(self._tree(self._paths[found]), self.styles, self._string)
        return self._sheets[found]

    def add(self, name: str) -> SheetXml:
        """A new, empty sheet after the others."""
        from lxml import etree

        number = 1 + max((int(one) for path in self._parts for one in re.findall(r"sheet(\d+)\.xml$", path)), default=0)
        path = f"xl/worksheets/sheet{number}.xml"
        self._trees[path] = etree.fromstring(_EMPTY.encode())
        self._parts[path] = b""
        types = self._tree("[Content_Types].xml")
        etree.SubElement(types, f"{{{_TYPES}}}Override", PartName=f"/{path}", ContentType=_SHEET_TYPE)
        rels = self._tree("xl/_rels/workbook.xml.rels")
        rel = f"rIdSheet{number}"
        target = {"Id": rel, "Type": f"{_R}/worksheet", "Target": f"worksheets/sheet{number}.xml"}
        etree.SubElement(rels, f"{{{_RELS}}}Relationship", target)
        held = self._book.find(f"{{{NS}}}sheets")
        ids = [int(one.get("sheetId", "0")) for one in held]
        shown = {"name": name, "sheetId": str(max(ids, default=0) + 1), f"{{{_R}}}id": rel}
        etree.SubElement(held, f"{{{NS}}}sheet", shown)
        self._paths[name] = path
        return self.sheet(name)

    def saved(self) -> bytes:
        """The bytes, in which every formula is computed anew when it is opened."""
        from lxml import etree

        self._recomputed()
        for path, tree in self._trees.items():
            self._parts[path] = etree.tostring(tree, xml_declaration=True, encoding="UTF-8", standalone=True)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
            for path, data in self._parts.items():
                file.writestr(path, data)
        return out.getvalue()

    def extend_tables(self, sheet: SheetXml, before: int, after: int) -> None:
        """Let tables of a sheet that ended with a row end with a later one."""
        path = next(self._paths[name] for name, one in self._sheets.items() if one is sheet)
        folder, _, file = path.rpartition("/")
        rels = f"{folder}/_rels/{file}.rels"
        if rels not in self._parts:
            return
        for rel in self._tree(rels):
            if rel.get("Type", "").endswith("/table"):
                table = self._tree("xl/" + rel.get("Target").removeprefix("../").removeprefix("/xl/"))
                if not int(table.get("totalsRowCount", "0")):
                    for one in (table, *table.findall(f"{{{NS}}}autoFilter")):
                        one.set("ref", re.sub(rf"(?<=[A-Z]){before}$", str(after), one.get("ref")))

    def _found(self) -> Iterator[tuple[str, str]]:
        rels = {one.get("Id"): one.get("Target", "") for one in self._tree("xl/_rels/workbook.xml.rels")}
        for one in self._book.iterfind(f"{{{NS}}}sheets/{{{NS}}}sheet"):
            target = rels.get(one.get(f"{{{_R}}}id"), "")
            path = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            if path in self._parts and "worksheet" in path:
                yield one.get("name", ""), path
        return

    def _string(self, number: int) -> str:
        """A text that several cells share."""
        if self._strings is None:
            self._strings = list(self._tree("xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in self._parts else []
        return text_of(self._strings[number]) if number < len(self._strings) else ""

    def _recomputed(self) -> None:
        from lxml import etree

        self._parts.pop("xl/calcChain.xml", None)
        for path, name in (("[Content_Types].xml", "PartName"), ("xl/_rels/workbook.xml.rels", "Target")):
            tree = self._tree(path)
            for one in [one for one in tree if one.get(name, "").endswith("calcChain.xml")]:
                tree.remove(one)
        calc = self._book.find(f"{{{NS}}}calcPr")
        if calc is None:
            calc = etree.Element(f"{{{NS}}}calcPr")
            before = ("definedNames", "externalReferences", "functionGroups", "sheets")
            held = next(one for name in before if (one := self._book.find(f"{{{NS}}}{name}")) is not None)
            held.addnext(calc)
        calc.set("fullCalcOnLoad", "1")
        for name, path in self._paths.items():
            if path in self._trees or b"<f" in self._parts[path]:
                self.sheet(name).forget_results()

    def _tree(self, path: str) -> Any:
        """A part, read. Raises ToolError."""
        from lxml import etree

        if path not in self._trees:
            data = self._parts.get(path)
            if data is None:
                raise ToolError(f"This Excel file is damaged: {path} is missing.")
            if len(data) > _LARGEST_PART:
                raise ToolError(f"A sheet of more than {_LARGEST_PART // 2**20} MB is too large to be changed here.")
            try:
                safe = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
                self._trees[path] = etree.fromstring(data, safe)
            except etree.XMLSyntaxError as error:
                raise ToolError(f"This Excel file is damaged: {path} cannot be read.") from error
        return self._trees[path]
