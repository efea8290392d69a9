"""Invented people (e1): names that no model has met, in a fixed order."""

from __future__ import annotations

from lrray.errors import LrrayError

_GIVEN = """
Alvo Brenka Corvin Delmira Elvric Fiorra Gundel Hestra Ilvane Jorvik Kelda Lorvan Mirelle Norvin
Ondra Pelvin Quilla Rostan Selvi Torrel Ulvia Vessar Wendra Xandor Yorrin Zelmira Ardith Bryndor
Calvex Dorrine Estrel Farwyn
"""
_FAMILY = """
Tarnwick Oskeld Vellory Brimsop Quarrow Hadvik Lunmere Pestrov Grendlow Ashkirk Mordane Felstrup
Winrath Torvell Skelby Darnholt Uxbrook Marvold Plessik Norgate Rimholm Cobbery Jastrom Velkin
Stravane Eskdorf Holmquen Trevish Yandell Ombrey Zarnow Kettlam
"""

MAX_PEOPLE = len(_GIVEN.split()) * len(_FAMILY.split())
"""How many different names there are."""


def people(count: int) -> list[str]:
    """The first ``count`` names; the first 32 share no part with one another.

    Raises:
        LrrayError: there are fewer names than that.
    """
    if not 0 <= count <= MAX_PEOPLE:
        raise LrrayError(
            "people",
            f"must be at most {MAX_PEOPLE}, the number of names",
            got=count,
            fix="ask for fewer people",
        )
    given, family = _GIVEN.split(), _FAMILY.split()
    width = len(given)
    return [f"{given[i % width]} {family[(i + i // width) % width]}" for i in range(count)]
