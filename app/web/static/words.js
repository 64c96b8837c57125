// What the page says, in English and Korean, and which of them it speaks.

/** Everything it can say, by language. */
export const WORDS = {
  en: {
    skip: "Skip to the three jobs",
    pages: "Pages",
    docs: "API reference",
    modelsJson: "Models (JSON)",
    metrics: "Metrics",
    language: "Language",
    intro:
      "Trained recurrent networks behind a REST API. They read a sequence or a picture step by step, and answer with " +
      "a label or a sentence. Each request below goes to this server, and to no other.",
    starting: "Starting: no engine is ready yet",
    ready: "Ready. Engines: {ready} of {engines}",
    keyWanted: "This service asks for a key. Your key:",
    unreachable: "The server does not answer",
    unreachableDetail: "Is it running? This page tries again every second.",
    readyBroken: "Ready. Engines: {ready} of {engines}. Model versions that cannot be used: {broken}",
    sentimentTitle: "Sentiment",
    sentimentAbout:
      "Is a text positive or negative, and how much? Its script chooses the English or the Korean model.",
    sentimentLabel: "Text, English or Korean",
    sentimentRun: "Analyse",
    lines: "Each line is a text of its own",
    captionTitle: "Caption",
    captionAbout: "Describes a picture in an English sentence. Photos of people and animals suit it best.",
    captionRun: "Describe",
    choose: "Choose a picture",
    useExample: "Use the example picture",
    drop: "You can also drop a picture here, or paste one. JPEG, PNG or WebP.",
    preview: "The chosen picture: {name}",
    translateTitle: "Translate",
    translateAbout:
      "From English to Korean, sentence by sentence. Short sentences of software and its manuals suit it best.",
    translateLabel: "English, one sentence per line",
    translateRun: "Translate",
    examples: "Examples",
    answer: "Answer",
    noAnswer: "Nothing asked yet.",
    running: "Running",
    answered: "answered in {time}",
    failed: "failed after {time}",
    positive: "positive",
    negative: "negative",
    probability: "probability {percent}",
    degree: "Degree from −1, negative, to +1, positive",
    score: "score {score}",
    scoreAbout: "Mean natural log-probability of the emitted tokens; nearer to 0 is surer",
    stop: "finish reason: stop",
    length: "finish reason: length (cut off)",
    finish: "finish reason: {reason}",
    emptySentence: "(an empty sentence)",
    noModel: "No model in the store does this job yet.",
    curl: "The same request with curl",
    copy: "Copy",
    copied: "Copied",
    modelsTitle: "Models",
    modelsAbout: "What this server has loaded. Quality as measured on data kept out of training.",
    noModels: "No models to show yet.",
    byDefault: "answers by default",
    parameters: "{count} parameters, {size}",
    noQuality: "its manifest has no measured quality",
    broken: "cannot be used: {reason}",
  },
  ko: {
    skip: "세 가지 작업으로 건너뛰기",
    pages: "페이지",
    docs: "API 문서",
    modelsJson: "모델 (JSON)",
    metrics: "지표",
    language: "언어",
    intro:
      "학습된 순환 신경망을 REST API로 제공합니다. 문장이나 사진을 한 단계씩 읽고, 레이블이나 문장으로 답합니다. " +
      "아래의 모든 요청은 이 서버로만 보냅니다.",
    starting: "시작하는 중: 아직 준비된 엔진이 없습니다",
    ready: "준비됨: 엔진 {engines}개 중 {ready}개",
    keyWanted: "이 서비스에는 키가 필요합니다. 키를 입력하세요:",
    unreachable: "서버가 응답하지 않습니다",
    unreachableDetail: "서버가 실행 중인지 확인하세요. 이 페이지는 1초마다 다시 시도합니다.",
    readyBroken: "준비됨: 엔진 {engines}개 중 {ready}개, 사용할 수 없는 모델 버전 {broken}개",
    sentimentTitle: "감성 분석",
    sentimentAbout: "글이 긍정인지 부정인지, 그 정도는 얼마인지 판단합니다. 글의 문자(로마자, 한글)에 따라 영어 또는 한국어 모델이 답합니다.",
    sentimentLabel: "영어 또는 한국어 글",
    sentimentRun: "분석하기",
    lines: "한 줄을 글 하나로 보기",
    captionTitle: "사진 설명",
    captionAbout: "사진을 영어 문장으로 설명합니다. 사람이나 동물이 나온 사진에 가장 알맞습니다.",
    captionRun: "설명하기",
    choose: "사진 고르기",
    useExample: "예시 사진 쓰기",
    drop: "사진을 여기에 끌어다 놓거나 붙여 넣어도 됩니다. JPEG, PNG, WebP.",
    preview: "고른 사진: {name}",
    translateTitle: "번역",
    translateAbout: "영어를 한국어로 한 문장씩 번역합니다. 소프트웨어와 설명서의 짧은 문장에 가장 알맞습니다.",
    translateLabel: "영어, 한 줄에 한 문장",
    translateRun: "번역하기",
    examples: "예시",
    answer: "결과",
    noAnswer: "아직 요청하지 않았습니다.",
    running: "실행 중",
    answered: "{time} 만에 응답",
    failed: "{time} 만에 실패",
    positive: "긍정 (positive)",
    negative: "부정 (negative)",
    probability: "확률 {percent}",
    degree: "정도: −1은 부정, +1은 긍정",
    score: "점수 {score}",
    scoreAbout: "출력한 토큰의 평균 자연로그 확률. 0에 가까울수록 확신이 큽니다",
    stop: "종료 이유: stop",
    length: "종료 이유: length (잘림)",
    finish: "종료 이유: {reason}",
    emptySentence: "(빈 문장)",
    noModel: "이 작업을 하는 모델이 아직 없습니다.",
    curl: "같은 요청을 curl로",
    copy: "복사",
    copied: "복사됨",
    modelsTitle: "모델",
    modelsAbout: "이 서버가 불러온 모델입니다. 품질은 학습에 쓰지 않은 데이터로 잰 값입니다.",
    noModels: "아직 보여 줄 모델이 없습니다.",
    byDefault: "기본 모델",
    parameters: "매개변수 {count}개, {size}",
    noQuality: "매니페스트에 품질 측정값이 없습니다",
    broken: "사용할 수 없음: {reason}",
  },
};

const KEPT = "unroll.language";

/** The language that is spoken now: "en" or "ko". */
export let language = kept() ?? (navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en");

/** The words under `key`, with each {name} replaced by `values[name]`. */
export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Whether there are words under `key`. */
export function canSay(key) {
  return Object.hasOwn(WORDS[language], key);
}

/** Speak `chosen` from now on, also after a reload. */
export function speak(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // storage is switched off: the choice holds until the page is left
  }
}

/** Put the words of the language into everything below `root` that is marked with data-say or data-say-label. */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of root.querySelectorAll("[data-say-label]")) {
    element.setAttribute("aria-label", say(element.dataset.sayLabel));
  }
}

/** Seconds as a short text: "12 ms" or "1.4 s". */
export function duration(seconds) {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

/** A number with a real minus sign and, when `signed`, a plus. */
export function number(value, { signed = false, digits = 2 } = {}) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}

function kept() {
  try {
    const found = localStorage.getItem(KEPT);
    return found && Object.hasOwn(WORDS, found) ? found : null;
  } catch {
    return null;
  }
}
