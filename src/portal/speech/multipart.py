"""A form with a file, as servers for sound take it."""

import secrets
from collections.abc import Sequence


def form(fields: Sequence[tuple[str, str]], file: bytes, filename: str) -> tuple[bytes, str]:
    """Body and content type. `filename` is of our own making: its ending tells the server what it gets."""
    boundary = f"portal-{secrets.token_hex(16)}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
    kind = "Content-Type: application/octet-stream\r\n\r\n"
    body = b"".join([*parts, f"{head}{kind}".encode(), file, f"\r\n--{boundary}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={boundary}"
