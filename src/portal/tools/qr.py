"""Tools for QR codes: make one, and read those (and bar codes) in a picture."""

import io
from pathlib import PurePath
from typing import Annotated

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted, keep
from portal.tools.function import Functions, tool

_LARGEST = 30 * 2**20
_PIXELS = 60_000_000


class Codes:
    """The family, with the folders it may read."""

    def __init__(self, *, folders: Folders) -> None:
        self._folders = folders

    @tool(risk="read")
    def make_qr(
        self,
        text: Annotated[str, "Text or address to put in"],
        context: ToolContext,
        save_as: Annotated[str, "Name ending in .png, .svg or .pdf"] = "qr.png",
    ) -> ToolResult:
        """Make a QR code of a text or address, as a picture."""
        import segno

        kind = PurePath(save_as).suffix.lower().lstrip(".")
        if kind not in ("png", "svg", "pdf"):
            raise ToolError("The name must end in .png, .svg or .pdf.")
        try:
            code = segno.make_qr(text)
        except (ValueError, segno.DataOverflowError) as error:
            raise ToolError(f"This does not fit into a QR code: {error}") from error
        out = io.BytesIO()
        code.save(out, kind=kind, scale=8)
        return ToolResult(text=f"Made {save_as}.", files=(keep(context, save_as, out.getvalue()),))

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    def read_qr(self, path: Annotated[str, "A picture"], context: ToolContext) -> str:
        """Read the QR codes and bar codes in a picture."""
        try:
            import zxingcpp
            from PIL import Image, UnidentifiedImageError
        except ImportError as error:
            raise ToolError(f"Reading codes needs zxing-cpp: `{add_command('documents')}`.") from error
        file = self._folders.file(path, context, largest=_LARGEST).path
        try:
            with Image.open(file) as picture:
                if picture.width * picture.height > _PIXELS:
                    raise ToolError("This picture is too large.")
                found = zxingcpp.read_barcodes(picture.convert("L"))
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
            raise ToolError(f"{path!r} is not a picture that can be read.") from error
        return "\n".join(f"{code.format}: {code.text}" for code in found) or "There is no code in this picture."


def create(needs: Needs) -> Toolset:
    """The family `qr`."""
    codes = Codes(folders=granted(needs.settings))
    return Functions("qr", [codes.make_qr, codes.read_qr])
