"""Printed text in pictures, recognised by tesseract."""

import os
import shutil
import subprocess
from pathlib import Path

from portal.errors import BadRequest

_SECONDS = 100
INSTALL = "Text in pictures needs tesseract: `apt install tesseract-ocr`, or `brew install tesseract`."
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""How pictures begin. Tesseract takes anything else as a list of files to read."""


def recognise(picture: Path, languages: str) -> str:
    """The text, paragraphs apart. Raises BadRequest."""
    program = shutil.which("tesseract", path=os.defpath + ":/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        raise BadRequest(INSTALL, code="unsupported_file")
    with picture.open("rb") as file:
        if not file.read(4).startswith(PICTURES):
            raise BadRequest("It is no picture that can be read: save it as PNG or JPEG.", code="unsupported_file")
    command = [program, str(picture), "stdout", "-l", languages]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False)  # noqa: S603 our own arguments
    except subprocess.TimeoutExpired as error:
        raise BadRequest("Recognising its text took too long: make it smaller.", code="invalid_file") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadRequest(f"Tesseract cannot read it: {said[-1][:200] if said else 'it failed'}", code="invalid_file")
    return done.stdout.decode(errors="replace")
