"""How people say things to a memory: phrases.toml, read once."""

import tomllib
from importlib import resources

_READ = tomllib.loads(resources.files("portal.memory").joinpath("phrases.toml").read_text(encoding="utf-8"))


def _pattern(name: str) -> str:
    return "".join(str(_READ[name]).splitlines())


def _words(name: str) -> frozenset[str]:
    return frozenset(str(_READ[name]).split())


POLITE = _pattern("polite")
REMEMBER: list[str] = _READ["remember"]
REMEMBER_BEHIND: list[str] = _READ["remember_behind"]
FORGET: list[str] = _READ["forget"]
NO_CLAUSE = _pattern("no_clause")
ABBREVIATIONS = _pattern("abbreviations")
PREFERENCE = _pattern("preference")
EPISODE = _pattern("episode")
STATE = _pattern("state")
SINGLE = _pattern("single")
ATTRIBUTE = _pattern("attribute")
NAMED = _pattern("named")
PREFER: list[str] = _READ["prefer"]
PAST_TALK = _pattern("past_talk")
NEGATIONS, AVERSIONS, LIKINGS, FILLERS = map(_words, ("negations", "aversions", "likings", "fillers"))
ONE_AT_A_TIME = {"colour": _words("colours"), "day": _words("days")}
"""Kinds of values of which a thing has one."""
SUBJECTS: list[tuple[str, str]] = [(one["name"], one["pattern"]) for one in _READ["subjects"]]
