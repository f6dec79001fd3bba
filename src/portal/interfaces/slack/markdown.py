"""Markdown as Slack takes it: as it is in messages (the `markdown` block), as mrkdwn elsewhere."""

import re

LONGEST = 11_500
"""Characters of a message: `markdown` blocks take 12,000 in all, and a streamed message no more."""
_NOTICE, _SECTION = 2_900, 2_900
_UNSEEN = "\u200b"
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SUMMONS = re.compile(r"<(?=[!@#](?:[\w^]|$)|$)")
"""What would call people or name rooms (`<!channel>`, `<@U123>`), also where only its beginning is there."""
_FENCE = re.compile(
    r"(^ {0,3}(?:```|~~~)[^\n]*\n.*?(?:^ {0,3}(?:```|~~~)[ \t]*$|\Z)|`[^`\n]+`)", re.MULTILINE | re.DOTALL
)
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_LINKED = re.compile(r"<((?:https?|mailto|tel):[^|>\s]+)(?:\|([^>]*))?>")
_NAMED = re.compile(r"<([@#!])([^|>]+)(?:\|([^>]*))?>")


def rendered(text: str) -> str:
    """A message's Markdown without what Slack refuses, or would take for a call to people."""
    clean = _SUMMONS.sub(f"<{_UNSEEN}", _CONTROLS.sub("", text))
    return clean if clean.strip() else _UNSEEN + clean


def size(text: str) -> int:
    """How long a piece of Markdown is in a message."""
    return len(rendered(text))


def escaped(text: str) -> str:
    """Text that means just itself in mrkdwn."""
    return _CONTROLS.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(text: str) -> str:
    """Markdown as mrkdwn."""
    pieces = _FENCE.split(text)
    return "".join(_code(piece) if index % 2 else _prose(piece) for index, piece in enumerate(pieces))


def notice(text: str) -> str:
    """What a notification shows of a message."""
    short = text if len(text) <= _NOTICE // 5 else f"{text[: _NOTICE // 5]}…"
    return mrkdwn(short).strip() or _UNSEEN


def sections(text: str) -> list[str]:
    """mrkdwn in pieces that fit a section, cut at lines where there are any."""
    found, left = [], text.strip("\n")
    while len(left) > _SECTION:
        at = left.rfind("\n", 1, _SECTION)
        at = at if at > 0 else _SECTION
        found.append(left[:at])
        left = left[at:].lstrip("\n")
    return [piece for piece in (*found, left) if piece.strip()]


def written(text: str, bot_user: str) -> str:
    """What a person wrote, as Markdown, without a mention of the app itself at its beginning."""
    said = re.sub(rf"^\s*<@{re.escape(bot_user)}(?:\|[^>]*)?>[\s,:]*", "", text) if bot_user else text
    said = _LINKED.sub(lambda found: f"[{found[2]}]({found[1]})" if found[2] else found[1], said)
    said = _NAMED.sub(lambda found: f"{found[1] if found[1] != '!' else '@'}{found[3] or found[2]}", said)
    return re.sub("&(?:lt|gt|amp);", lambda found: _ENTITIES[found[0]], said)


def _code(piece: str) -> str:
    if piece.startswith("`") and not piece.startswith("```"):
        return escaped(piece)
    lines = piece.strip("\n").split("\n")
    closed = len(lines) > 1 and lines[-1].strip()[:3] in ("```", "~~~")
    return "```\n" + escaped("\n".join(lines[1 : -1 if closed else None])) + "\n```"


def _prose(piece: str) -> str:
    said = escaped(piece)
    said = re.sub(r"!?\[([^\]\n]*)\]\((https?:[^\s)|]+)[^)\n]*\)", r"<\2|\1>", said)
    said = re.sub(r"<([^|>\n]+)\|>", r"<\1>", said)
    said = re.sub(r"(?<!\*)\*(?![\s*])([^*\n]+?)(?<!\s)\*(?!\*)", r"_\1_", said)
    said = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"*\2*", said)
    said = re.sub(r"~~(?=\S)(.+?)(?<=\S)~~", r"~\1~", said)
    said = re.sub(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", lambda found: f"*{found[1].strip('*')}*", said, flags=re.MULTILINE)
    said = re.sub(r"^&gt; ?", "> ", said, flags=re.MULTILINE)
    return re.sub(r"^(\s*)[-*+] ", r"\1• ", said, flags=re.MULTILINE)
