// Korean descriptions of the included models, by what their manifests say in English.

export default {
  "A photo described in one English sentence: ResNet-LSTM with attention over the image grid.":
    "사진을 영어 한 문장으로 설명합니다. 사진의 격자에 주의를 기울이는 ResNet-LSTM입니다.",
  "The direction in which a digit moves through 6 frames: a ResNet on each frame, an LSTM over time.":
    "프레임 6장에서 숫자가 움직이는 방향을 알아냅니다. ResNet이 프레임마다 보고 LSTM이 시간을 따라 읽습니다.",
  "Seattle's weather: the highest and lowest temperature of the next 3 days, from 6 days of weather.":
    "시애틀의 날씨: 지난 6일의 날씨에서 앞으로 3일의 최고 기온과 최저 기온을 예측합니다.",
  "English, word after word: continues a text as a film review would.": "영어를 한 단어씩 이어 씁니다. 영화평처럼 글을 이어 갑니다.",
  "English, word after word: continues a sentence of everyday or text book English.": "영어를 한 단어씩 이어 씁니다. 일상이나 교과서의 영어 문장을 이어 갑니다.",
  "Korean, word after word: continues a sentence of everyday Korean.": "한국어를 한 단어씩 이어 씁니다. 일상 한국어 문장을 잇습니다.",
  "English sentiment: negative or positive, trained on film reviews and short texts.": "영어 감성 분석: 부정 또는 긍정. 영화평과 짧은 글로 학습했습니다.",
  "English sentiment by the last state of a GRU; two more differ from it in the cell alone.":
    "GRU의 마지막 상태로 하는 영어 감성 분석. 셀만 다른 모델이 둘 더 있습니다.",
  "English sentiment by the last state of an LSTM; two more differ from it in the cell alone.":
    "LSTM의 마지막 상태로 하는 영어 감성 분석. 셀만 다른 모델이 둘 더 있습니다.",
  "English sentiment by the last state of a plain RNN (tanh); two more differ from it in the cell alone.":
    "기본 RNN(tanh)의 마지막 상태로 하는 영어 감성 분석. 셀만 다른 모델이 둘 더 있습니다.",
  "Korean sentiment: negative or positive, trained on film reviews.": "한국어 감성 분석: 부정 또는 긍정. 영화평으로 학습했습니다.",
  "English parts of speech: one of the 17 universal tags for each word.": "영어 품사: 단어마다 보편 품사 17가지 가운데 하나를 붙입니다.",
  "English to Korean, for short everyday sentences and for software: menus, messages, manuals.":
    "영어를 한국어로 옮깁니다. 짧은 일상 문장과 소프트웨어의 메뉴, 메시지, 설명서에 알맞습니다.",
};
