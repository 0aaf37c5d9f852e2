"""What a bureau's table means: which heading is which field, and what a cell says.

Headings differ, digits are as wide as Chinese characters, Excel has rounded: what can be read without
guessing is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache

from server.registry_fields import Also, also
from server.registry_file import LISTS

#: the types of numbers
NUMBERS = (int, float, int | None, float | None)
#: a number with its thousands set apart
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
#: what Excel makes of a long number; without the plus it may be a serial number
ROUNDED = re.compile(r"[+-]?\d(\.\d+)?[eE]\+\d+")


@cache
def fields_of(name: str) -> Mapping[str, str]:
    """Return the fields of the list by every heading that they may have, in plain form."""
    model = LISTS[name].model.model_fields
    return {
        plain(heading): column
        for column in reversed(LISTS[name].fields)
        for heading in (*reversed(also(model[column]).names), column)
    }


def title(name: str, column: str) -> str:
    """Return the column's heading in both languages."""
    names = also(LISTS[name].model.model_fields[column]).names
    return f"{column} ({names[0]})" if names else column


@lru_cache
def plain(heading: str) -> str:
    """Return a heading without what does not tell columns apart: case, blanks, units in brackets, a star."""
    text = unicodedata.normalize("NFKC", heading).casefold()
    return re.sub(r"\(.*?\)|\[.*?\]|[\s_*\ufeff]", "", text)


def cell(text: str, name: str, column: str) -> str:
    """Return what a cell says for the field of a list; ValueError says what cannot be meant.

    Numbers and codes may be written in wide digits; numbers with commas between thousands. What Excel shows
    as 6.4E+11 has lost its digits and is refused.
    """
    known, numeric = _column(name, column)
    text = text.strip()
    if text in known.words:
        return known.words[text]
    if not (numeric or known.code):
        return text
    narrow = unicodedata.normalize("NFKC", text).strip()
    if ROUNDED.fullmatch(narrow):
        raise ValueError("Excel has rounded it: format the column as text or as a number without exponent")
    if numeric and THOUSANDS.fullmatch(narrow):
        return narrow.replace(",", "")
    if numeric and set("°′″'\"度") & set(text):
        raise ValueError("write decimal degrees: degrees + minutes / 60 + seconds / 3600")
    return narrow


@cache
def _column(name: str, column: str) -> tuple[Also, bool]:
    """Return what tables say of the field, and whether it is a number."""
    info = LISTS[name].model.model_fields[column]
    return also(info), info.annotation in NUMBERS
