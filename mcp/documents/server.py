"""Documents: read, look into, convert, recognise printed text, and make."""

from portal.shipped.face import Face

FACE = Face(
    name="documents",
    title="Documents",
    instructions="Reads and converts PDF, Word, PowerPoint, Excel, e-mail, EPUB, HTML and Markdown files of the "
    "folders that were named when this server was started, and makes documents there.",
    families={"documents": ()},
    where="given",
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
