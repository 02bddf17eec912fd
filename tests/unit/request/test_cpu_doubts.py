"""A text that denies, excludes or hides a CPU is not its name; names and plain sentences are not suspected."""

from __future__ import annotations

import pytest

from armwright.request.cpu_doubts import find_doubt, has_negation


@pytest.mark.parametrize(
    "text",
    [
        "we don't have N1", "we don\u2019t have N1", "we dont have N1", "don`t use N1", "anything but N1",
        "other than N1", "newer than N1", "we replaced our N1", "a replacement of N1", "we had N1",
        "we used to have N1", "we migrated from N1", "moving away from N1",
        "non-N1", "NOT N1",
        "kein N1", "alles au\u00dfer N1", "fr\u00fcher N1", "wir haben N1 ersetzt", "weder N1 noch V1", "statt N1",
        "ce n'est plus N1", "pas N1", "tout sauf N1", "N1 remplac\u00e9", "plut\u00f4t que N1", "ni N1", "sin N1",
        "ning\u00fan N1", "en vez de N1", "reemplazamos N1", "ning\u0075\u0301n N1", "\u4e0d\u662fN1", "\u6ca1\u6709N1",
        "\u9664\u4e86N1", "\u975eN1", "geen N1", "n\u00e3o N1", "nessun N1",
    ],
)  # fmt: skip
def test_negation_is_found(text: str) -> None:
    assert has_negation(text)
    assert find_doubt(text) == "the text says what the CPU is not, or no longer is"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("N1\u0660", "U+0660 (ARABIC-INDIC DIGIT ZERO)"),
        ("\u202eN1", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("N\u200b1", "U+200B (ZERO WIDTH SPACE)"),
        ("N\uff11", "U+FF11 (FULLWIDTH DIGIT ONE)"),
        ("N\u00b9", "U+00B9 (SUPERSCRIPT ONE)"),
        ("N1\u0338", "U+0338 (COMBINING LONG SOLIDUS OVERLAY)"),
        ("\u2260 N1", "U+2260 (NOT EQUAL TO)"),
        ("\U0001f6ab N1", "U+1F6AB (NO ENTRY SIGN)"),
        ("\u043d\u0435 N1", "U+043D (CYRILLIC SMALL LETTER EN)"),
        ("N1\u3067\u306f\u306a\u3044", "U+3067 (HIRAGANA LETTER DE)"),
        ("\u0274\u0031", "U+0274 (LATIN LETTER SMALL CAPITAL N)"),
        ("N1\x1b[8m", "U+001B (a control character)"),
    ],
)
def test_unreadable_character_is_named(text: str, what: str) -> None:
    assert find_doubt(text) == f"the text contains {what}"


@pytest.mark.parametrize(
    "text",
    ["!= N1", "!N1", "/= N1", "<> N1", "< N1", "~~N1~~", "- [ ] N1", ":x: N1", "N1&#x660;", "![](n1)", "https://x/n1"],
)
def test_sign_that_negates_or_hides_is_found(text: str) -> None:
    assert find_doubt(text) == "the text has signs that can negate or hide a name"


@pytest.mark.parametrize(
    "text",
    [
        "Ampere\u00ae Altra\u2122 Max Q80-30", "Raspberry Pi 5 (Cortex-A76)", "-mcpu=neoverse-n1", "Neoverse\u00a0N1",
        "Graviton3, 64 cores @ 2.6 GHz!", "Graviton3? c7g.2xlarge", "our c7g & m7g (Graviton3)", "CPU: Apple M1 Pro",
        "Processeur Graviton3 \u00e0 64 c\u0153urs", "Wir nutzen Graviton3 f\u00fcr ML",
        "usamos Graviton3 en producci\u00f3n",
        "\u6211\u4eec\u7528Graviton3\uff0864\u6838\uff09", "NVIDIA Grace, an Arm server", "Neoverse-V1\n64 cores",
        "we migrated to Graviton3", "Graviton3, used for inference", "another Graviton3, upgraded",
    ],
)  # fmt: skip
def test_plain_text_is_not_suspected(text: str) -> None:
    assert find_doubt(text) == ""
