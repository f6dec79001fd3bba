"""Pages added to PDF files that are there."""

import io

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.office import pages
from portal.tools.office.content import Content

_MOST_PAGES = 5000


def append(data: bytes, content: Content) -> bytes:
    """The file with more pages at its end. Raises ToolError."""
    try:
        import pypdf
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise ToolError(f"Adding to PDF files needs pypdf: `{add_command('documents')}`.") from error
    added = pages.write(content)
    try:
        held = pypdf.PdfReader(io.BytesIO(data))
        if held.is_encrypted:
            raise ToolError("This PDF is protected by a password.")
        if len(held.pages) > _MOST_PAGES:
            raise ToolError(f"This PDF has more than {_MOST_PAGES:,} pages.")
        writer = pypdf.PdfWriter(clone_from=held)
        writer.append(pypdf.PdfReader(io.BytesIO(added)))
        out = io.BytesIO()
        writer.write(out)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise ToolError(f"This PDF cannot be added to: it is damaged ({type(error).__name__}).") from error
    return out.getvalue()
