"""What each shipped model is for, in one sentence of English and of Korean: read before an input is sent."""

DOMAINS: dict[str, dict[str, str]] = {
    "lm-en": {
        "en": "Continues English texts that are like film reviews; what it says about films and people is made up.",
        "ko": "영화평과 비슷한 영어 글을 이어 씁니다. 영화와 사람에 대한 내용은 지어낸 것입니다.",
    },
    "lm-en-general": {
        "en": "Continues sentences of everyday and text book English; what it says about people and places is made up.",
        "ko": "일상이나 교과서에 나오는 영어 문장을 이어 씁니다. 사람과 장소에 대한 내용은 지어낸 것입니다.",
    },
    "lm-ko": {
        "en": "Continues sentences of everyday Korean; what it says about people and places is made up.",
        "ko": "일상에서 쓰는 한국어 문장을 이어 씁니다. 사람과 장소에 대한 내용은 지어낸 것입니다.",
    },
    "sentiment-en": {
        "en": "For English opinions on films and products; a text without an opinion gets a label all the same.",
        "ko": "영화와 제품에 대한 영어 의견을 위한 모델입니다. 의견이 없는 글에도 긍정이나 부정이 붙습니다.",
    },
    "sentiment-en-rnn": {
        "en": "For English opinions on films and products; to be compared with two networks that differ in the cell.",
        "ko": "영화와 제품에 대한 영어 의견을 위한 모델입니다. 셀만 다른 두 망과 견주어 보는 망입니다.",
    },
    "sentiment-en-gru": {
        "en": "For English opinions on films and products; to be compared with two networks that differ in the cell.",
        "ko": "영화와 제품에 대한 영어 의견을 위한 모델입니다. 셀만 다른 두 망과 견주어 보는 망입니다.",
    },
    "sentiment-en-lstm": {
        "en": "For English opinions on films and products; to be compared with two networks that differ in the cell.",
        "ko": "영화와 제품에 대한 영어 의견을 위한 모델입니다. 셀만 다른 두 망과 견주어 보는 망입니다.",
    },
    "sentiment-ko": {
        "en": "For Korean opinions on films, short as web comments are; other texts are often labelled wrongly.",
        "ko": "짧은 한국어 영화평을 위한 모델입니다. 다른 글은 틀릴 때가 많습니다.",
    },
    "caption-en": {
        "en": "For everyday photos of people and dogs, mostly outdoors; other things are described as those.",
        "ko": "사람과 개가 나오는 일상 사진, 특히 야외 사진을 위한 모델입니다. 다른 사진도 그런 사진처럼 설명합니다.",
    },
    "translate-en-ko": {
        "en": "For short everyday sentences and for software (menus, messages, manuals); "
        "not for news, rare words or long sentences.",
        "ko": "짧은 일상 문장과 소프트웨어의 글(메뉴, 알림, 설명서)을 위한 모델입니다. "
        "뉴스, 드문 낱말, 긴 문장에는 맞지 않습니다.",
    },
    "forecast-weather": {
        "en": "For the daily weather of Seattle; other places have other seasons.",
        "ko": "시애틀의 하루 단위 날씨를 위한 모델입니다. 다른 곳의 날씨에는 맞지 않습니다.",
    },
    "classify-digits-motion": {
        "en": "For clips of one digit that moves evenly before a plain ground; not for films of a camera.",
        "ko": "단색 배경에서 숫자 하나가 고르게 움직이는 클립을 위한 모델입니다. 카메라로 찍은 영상에는 맞지 않습니다.",
    },
    "tag-en": {
        "en": "For English as people write it on the web: mails, reviews, blogs and news.",
        "ko": "메일, 후기, 블로그, 뉴스처럼 인터넷에서 쓰는 영어 글을 위한 모델입니다.",
    },
}
