"""Owns the forms in which a secret may come back: as it is, with the escapes of those who repeat it, in base64."""

from __future__ import annotations

import base64
import re
from html.entities import codepoint2name
from itertools import groupby

_ENOUGH = 6  # letters of base64, which nothing else is likely to hold
_SHORT = 4  # bytes, below which a secret is a part of many words: masked in these it would be told by them
_EMPTY = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")  # what is shown as a gap, if at all
_GAP = r"[\s\ufffd]{1,99}+|\+|%(?:25)*[012][0-9a-f]|\\{1,16}+(?:u00[012][0-9a-f]|x[012][0-9a-f]|[tnr])|&#x?\d+;"


def any_form(secret: str) -> str:
    """An expression for `secret` in each form in which a server or a program may repeat it."""
    data, forms = secret.encode(errors="surrogateescape"), [escaped(secret)]
    for before in range(3):  # bytes of what it may be coded with, as a login is
        coded = base64.b64encode(bytes(before) + data).decode()
        own = coded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(own) >= _ENOUGH:
            forms.append(re.sub("[+/]", "(?:[+/_-]|%2[BbFf])", own) + r"[\w+/-]?=*")
    every = "|".join(forms)
    return every if len(data) >= _SHORT else rf"(?<!\w)(?:{every})(?!\w)"


def escaped(secret: str) -> str:
    """An expression for `secret` as it is or as JSON, HTML, an address or a shell writes it, each letter by itself."""
    return "".join(_letters(one, len(list(run))) for one, run in groupby(_EMPTY.sub(" ", secret)))


def _letters(one: str, times: int) -> str:
    if one == " ":
        return rf"(?i:{_GAP}){{1,{times}}}"
    if one.isascii() and (one.isalnum() or one in "-._~"):  # which nobody needs to write in another way
        return re.escape(one) * times
    pairs = re.findall("....", one.encode("utf-16-be", "surrogatepass").hex())
    name = codepoint2name.get(ord(one), "apos")
    forms = [
        "".join(rf"\\{{1,16}}+u{pair}" for pair in pairs),
        "".join(f"%(?:25)*{byte:02x}" for byte in one.encode(errors="surrogateescape")),
        rf"&(?:amp;)*(?:#0*{ord(one)}|#x0*{ord(one):x}|{name});",
    ]
    if one == "\\":
        return rf"(?i:{'|'.join(forms)}|\\{{1,99}}+){{1,{times}}}"
    quoted = rf"|'\\''|'{chr(34)}'{chr(34)}'" if one == "'" else ""
    return rf"(?i:{'|'.join(forms)}{quoted}|\\{{0,16}}+{re.escape(one)}){{{times}}}"
