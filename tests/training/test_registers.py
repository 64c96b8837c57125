"""Registers read off Korean endings."""

import pytest

from training.registers import REGISTERS, TAGS, register_of


@pytest.mark.parametrize(
    ("text", "register"),
    [
        ("어제 친구를 만났어요.", "polite"),
        ("지금 돈을 안 내도 되죠?", "polite"),
        ('"저는 못 가요."', "polite"),
        ("거의요. 마지막 숫자만 있으면 돼요.", "polite"),
        ("파일을 저장했습니다.", "formal"),
        ("저장하시겠습니까?", "formal"),
        ("다시 시도하십시오", "formal"),
        ("모두 함께 갑시다!", "formal"),
        ("그는 최선을 다한다.", "plain"),
        ("이것은 무엇인가?", "plain"),
        ("사용자를 찾을 수 없다", "plain"),
        ("빨리 와.", "casual"),
        ("너 어디 가니?", "casual"),
        ("나도 봤어!", "casual"),
        ("파일 열기", None),
        ("캐나다", None),
        ("이미지", None),
        ("새 이미지...", None),
        ("중요", None),
        ("주차 금지", None),
        ("", None),
    ],
)
def test_the_last_ending_tells_the_register(text: str, register: str | None) -> None:
    assert register_of(text) == register


def test_each_register_has_a_tag_of_its_own() -> None:
    assert len(set(TAGS.values())) == len(REGISTERS) == 4
