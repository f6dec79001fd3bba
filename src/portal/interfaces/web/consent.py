"""The pages of signing in to `/mcp`: plain HTML, no script.

They tell their own origin to Portal, and nobody else: without that a browser sends their form as from nowhere.
"""

from html import escape
from urllib.parse import urlsplit

from portal.security.oauth import Asked
from portal.security.redirects import source

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} · Portal</title>
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex, nofollow">
<meta name="referrer" content="same-origin">
<link rel="icon" href="/static/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/css/tokens.css">
<link rel="stylesheet" href="/static/css/base.css">
<link rel="stylesheet" href="/static/css/consent.css">
</head>
<body><main class="consent"><h1>{title}</h1>
{body}
</main></body>
</html>
"""
_QUESTION = """<p><strong>{name}</strong> wants to use Portal's tools and models as you, <strong>{person}</strong>.</p>
<p class="consent-note">Anybody can give a program this name. Say yes only if you began this yourself, in a program that
you trust. Afterwards you are sent to <code>{where}</code>.</p>
<form method="post" action="/oauth/authorize">
<input type="hidden" name="token" value="{token}">
<label>What it may use
<input class="input" name="scope" value="{scope}" spellcheck="false" autocapitalize="none"></label>
<p class="consent-note"><code>tools:*</code> is all that you may use, but not the running of this Portal.
<code>workspaces:NAME</code>, <code>models:NAME</code> and <code>tools:NAME</code> narrow it, several of them with
spaces between.</p>
<div class="consent-buttons"><button class="button" name="decision" value="deny">Do not allow</button>
<button class="button primary" name="decision" value="allow">Allow</button></div>
</form>
<p class="consent-note">You can take it back at any time under Settings &gt; API keys.</p>"""


def question(asked: Asked, token: str, person: str) -> str:
    """May this program?"""
    body = _QUESTION.format(
        name=escape(asked.client_name),
        person=escape(person),
        where=escape(_where(asked.redirect)),
        token=escape(token),
        scope=escape(" ".join(asked.scopes)),
    )
    return _PAGE.format(title="Let a program in?", body=body)


def sign_in(name: str, again: str) -> str:
    """Nobody is signed in in this browser."""
    body = (
        f"<p><strong>{escape(name)}</strong> wants to use Portal as you. "
        'First <a href="/" target="_blank" rel="noopener">sign in to Portal</a> in this browser.</p>'
        f'<p><a class="button primary" href="{escape(again)}">Go on</a></p>'
    )
    return _PAGE.format(title="Sign in first", body=body)


def refused(why: str) -> str:
    """It goes no further."""
    return _PAGE.format(title="This does not work", body=f'<p role="alert">{escape(why)}</p>')


def policy(asked: Asked | None) -> str:
    """The Content-Security-Policy of these pages; a form may lead back to the program that asked."""
    forms = f"'self' {source(asked.redirect)}" if asked is not None else "'self'"
    return "; ".join(
        [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            f"form-action {forms}",
        ]
    )


def _where(redirect: str) -> str:
    """As much of it as tells whose it is."""
    parts = urlsplit(redirect)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
