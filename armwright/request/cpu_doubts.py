"""Finds out whether a text that names a CPU says something else than that the machine has this CPU.

A negation, a comparison or a CPU of the past is not a name. Text in a script whose negations are not listed here is
refused as a whole, and so are signs that can stand for "not".
"""

from __future__ import annotations

import re
import unicodedata

from armwright.request.characters import describe_character

# Words that deny, exclude, compare, or speak of the past. Lower case, without accents, `ss` for the German sharp s.
_LANGUAGES = {
    "English": """
        no not non nor none never neither nothing nobody cannot without except excepting excluding exclude excluded
        besides apart aside unlike instead rather than but other different minus sans longer anymore formerly former
        previously previous was were had gone sold broken dead ago avoid ain aint aren arent cant couldn couldnt
        didn didnt doesn doesnt don dont hadn hadnt hasn hasnt haven havent isn isnt shouldn shouldnt wasn wasnt
        weren werent won wont wouldn wouldnt
    """,
    "German": """
        nicht nichts nie niemals kein keine keinem keinen keiner keines ohne ausser ausgenommen statt stattdessen
        anstatt anstelle weder sondern anders andere anderen anderer anderes fruher ehemals ehemalige ehemaliger
        vorher war waren hatte hatten
    """,
    "French": """
        ne ni non pas jamais aucun aucune rien sans sauf hormis excepte lieu plutot autre autres ancien ancienne
        etait etaient avait avions avaient
    """,
    "Spanish": """
        no ni nunca jamas ningun ninguna ninguno nada tampoco sin salvo excepto menos sino vez lugar otro otra antiguo
        era eran tenia teniamos habia
    """,
    "others": "niet geen nessun nessuna senza nie bez nao nem nenhum sem ikke ikkje inte ingen ei",
}
_NEGATIONS = frozenset(" ".join(_LANGUAGES.values()).split())
# How such words begin, where they have many endings: replaced, replacement, ersetzt, remplacé, reemplazamos ...
_STEMS = ("replac", "decommission", "retir", "ersetz", "abgelos", "ausgetausch", "remplac", "reemplaz", "sustitu")
_PHRASES = re.compile(  # don't, n'est, used to have, migrated from
    r"n['\u2018\u2019`]t\b|\bn['\u2018\u2019`]|\bused to\b|\b(migrat|mov|switch|upgrad)\w* (away )?(from|off)\b"
)
_CHINESE = re.compile("[不没沒非无無未勿莫别別弃棄换換替除曾]")
# Signs that stand for "not", strike text through or hide it: != <> ~~ [ ] :x: &#x200b; and addresses
_SIGNS = re.compile(r"[<>~]|(?<!\w)!|!(?=\S)|/=|://|\[\s*\]|\]\(|\]:|:[a-z0-9_+-]+:|&#?\w+;", re.IGNORECASE)
_CHINESE_LETTER = "CJK UNIFIED"
_LATIN = ("LATIN SMALL L", "LATIN CAPITAL L")  # letters and ligatures; no small capitals, which look like capitals
_LATIN_END = "\u0250"  # phonetic letters, many of which look like others
_MARKS = "\u00ae\u2122\u00a9"  # registered, trade mark, copyright: in names of products


def find_doubt(text: str) -> str:
    """Say why a text cannot be taken for the name of a CPU; empty if nothing speaks against it."""
    text = unicodedata.normalize("NFC", text)
    odd = next((character for character in text if not _is_readable(character)), None)
    if odd is not None:
        return f"the text contains {describe_character(odd)}"
    if has_negation(text):
        return "the text says what the CPU is not, or no longer is"
    if _SIGNS.search(text):
        return "the text has signs that can negate or hide a name"
    return ""


def has_negation(text: str) -> bool:
    """Say whether a text has a negation in one of the languages that are known here."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text.casefold())
        if not unicodedata.combining(character)
    )
    words = re.findall(r"[^\W\d_]+", plain)
    denied = any(word in _NEGATIONS or word.startswith(_STEMS) for word in words)
    return denied or bool(_PHRASES.search(" ".join(plain.split())) or _CHINESE.search(plain))


def _is_readable(character: str) -> bool:
    """Say whether a character is ASCII, or of the few others that people write around a name and that look like it."""
    if character.isascii():
        return character.isprintable() or character in "\t\n"
    category = unicodedata.category(character)
    if category[0] == "L":
        script = unicodedata.name(character, "")
        itself = unicodedata.normalize("NFKC", character) == character
        return itself and (script.startswith(_CHINESE_LETTER) or (character < _LATIN_END and script.startswith(_LATIN)))
    return category[0] == "P" or category == "Zs" or character in _MARKS
