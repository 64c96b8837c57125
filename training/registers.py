"""Registers of Korean: how polite a sentence is, read off its last word.

Politeness control after Sennrich, Haddow and Birch (2016, section 3): training pairs are tagged by the ending of the
target, and the tag stands before the source. A source without a tag leaves the register to the model.
"""

import re
from typing import get_args

from app.store.registers import Register

REGISTERS: tuple[Register, ...] = get_args(Register)
TAGS: dict[Register, str] = {register: f"<{register}>" for register in REGISTERS}

_AFTER = re.compile(r"[\s\"'”’」』)\]]+$")  # what may stand behind the last mark
_MARKS = re.compile(r"[.!?…~。]+$")
_FULL_STOP = re.compile(r"(?<![.…])[.!?。]$")
_NOUNS_WITH_YO = re.compile(r"(중요|필요|불필요|수요|개요|주요|소요|가요|동요|담요|강요|긴요|고요|일요|토요)$")
_WITH_N = "".join(chr(code) for code in range(ord("가") + 4, ord("힣") + 1, 28))  # syllables that end in ㄴ: 큰가, 인가
_FORMAL = re.compile(r"(니다|니까|십시오|시오|[갑읍합봅둡립십집납킵듭깁]시다)$")
_POLITE = re.compile(r"[요죠]$")
_PLAIN = re.compile(rf"(다|[{_WITH_N}]가|할까|일까|을까|느냐|하라|으라|[가오보말]라|시오|리라|노라|니라)$")
_CASUAL = re.compile(
    r"([어아야지해돼네니냐래줘자걸군나데게마봐와워여려써져쳐커까라가]|거든|구나|는걸|텐데|잖아|같애|[했갔왔됐샀봤]어)$"
)


def register_of(text: str) -> Register | None:
    """The register of a Korean text by its last sentence; None where the ending does not tell, as with nouns.

    해요체 is polite, 합쇼체 formal, 한다체 plain, 반말 casual. Plain and casual endings are those of many nouns as well
    ("캐나다", "이미지"): they count after a full stop or its like alone, "다" also where the text has two words.
    """
    text = _AFTER.sub("", text)
    has_mark = _FULL_STOP.search(text) is not None
    text = _AFTER.sub("", _MARKS.sub("", text))
    if _FORMAL.search(text):
        return "formal"
    if _POLITE.search(text):
        return None if _NOUNS_WITH_YO.search(text) and not has_mark else "polite"
    if _PLAIN.search(text):
        return "plain" if has_mark or (text.endswith("다") and " " in text) else None
    return "casual" if has_mark and _CASUAL.search(text) else None
