"""Whether a request asks for several things, one after the other: from its words, in microseconds."""

import re

_VERBS = r"""
add|analy[sz]e|ask|build|calculate|change|check|chart|clone|collect|combine|commit|compare|compile|compute|convert|copy|
count|create|delete|deploy|download|draft|draw|edit|email|explain|export|extract|fetch|fill|filter|find|fix|format|
gather|generate|get|give|group|import|install|list|look|make|measure|merge|move|open|organi[sz]e|plan|plot|prepare|
publish|pull|push|put|read|remove|rename|replace|report|research|run|save|search|send|show|sort|split|start|
summari[sz]e|tell|test|translate|turn|update|upload|use|visit|write|
what|which|how|who|where|when|
analysiere|baue|berechne|erkläre|erstelle|fasse|finde|füge|gib|hole|installiere|kopiere|lade|lies|liste|lösche|mache?|
öffne|plane|prüfe|schicke?|schreibe?|sende|sortiere|speichere|speicher|starte|suche|teste|übersetze|vergleiche|
verschiebe|wandle|zähle|zeichne|zeige?|was|welche|welcher|wie|wer|wo|
cherche|crée|écris|envoie|enregistre|fais|lis|résume|télécharge|traduis|trouve|vérifie|quels?|
busca|calcula|compara|crea|descarga|encuentra|envía|escribe|guarda|haz|lee|resume|traduce|qué|cuáles
""".replace("\n", "")
_THEN = (
    "then|afterwards|after that|finally|at the end|dann|danach|anschließend|schließlich|zum schluss|am ende"
    "|puis|ensuite|enfin|luego|después|finalmente|por último"
)
_BEFORE = f"{_THEN}|and|und|et|y|to|also|please|bitte|next|first|zuerst|d'abord|primero"
_ACTION = re.compile(
    rf"(?:^|[.,;:!?\n]|\b(?:{_BEFORE})\b)\W{{0,4}}+(?:(?:{_BEFORE})\W{{1,4}}+){{0,3}}+(?:{_VERBS})\b", re.IGNORECASE
)
_SEQUENCE = re.compile(rf"\b(?:{_THEN})\b", re.IGNORECASE)
_LISTED = re.compile(r"^[ \t]*+(?:\d{1,3}[.)]|[-*•])[ \t]++\S", re.MULTILINE)
_LOOKED_AT = 2000
_ENOUGH = 3


def several(text: str) -> bool:
    """Whether it seems to ask for three or more things. An error costs one tool in the list of a turn, or a model that
    works without a plan."""
    text = text[:_LOOKED_AT]
    actions, sequence = len(_ACTION.findall(text)), len(_SEQUENCE.findall(text))
    return actions >= _ENOUGH or (actions > 0 and sequence > 1) or len(_LISTED.findall(text)) >= _ENOUGH
