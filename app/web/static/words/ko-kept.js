// Korean texts of the kept state.

export default {
  keptTitle: "이어 쓰는 기억",
  keptNav: "상태 보관",
  keptAbout:
    "은닉 상태는 신경망의 기억입니다. 지금까지 읽은 것을, 아무리 길어도 크기가 정해진 숫자들에 담습니다. 서비스가 돌려준 상태를 이 페이지가 보관했다가 " +
    "다시 보내므로, 새로 쓴 부분만 읽습니다. 지점을 저장하고 두 가지 결말을 이어 보세요.",
  keptTask_sentiment: "감성 분석",
  keptTask_classification: "분류",
  keptTask_completion: "언어 모델",
  keptTask_forecasting: "예측",
  keptLabel: "이어서 쓰기",
  keptRun: "읽기",
  keptSave: "이 지점 저장",
  "hint_kept-typed": "이어서 쓰거나 읽기를 누르세요. 쓰는 대로 결과가 바뀝니다. 표시된 단어가 이번에 읽은 것입니다.",
  keptNow_tokens: "지금 읽은 토큰 {count}개",
  keptNow_rows: "지금 읽은 행 {count}개",
  keptBefore_tokens: "상태에 담긴 토큰 {count}개",
  keptBefore_rows: "상태에 담긴 행 {count}개",
  keptSize: "상태 {bytes}바이트",
  keptAgain_tokens: "마지막 단어는 더 길어질 수 있어, 글 그대로 상태에 두었다가 다시 읽습니다.",
  keptAgain_rows: "줄을 바꾸면 그 행을 읽습니다.",
  keptNext: "다음에 올 확률이 높은 토큰입니다. ␣는 빈칸입니다.",
  keptStep: "단계",
  keptStale: "보관한 상태를 모두 버렸습니다. 읽기를 누르면 글을 처음부터 읽습니다.",
  keptPoint: "저장한 지점",
  keptEnding1: "결말 1",
  keptEnding2: "결말 2",
  keptTry: "둘 다 읽기",
  keptBack: "이 지점으로 돌아가기",
  keptPointStale: "이 지점은 더 쓸 수 없습니다. 글을 다시 읽고 지점을 새로 저장하세요.",
  "hint_kept-endings": "둘 다 읽기를 누르면 두 결말을 같은 상태에서 읽습니다.",
};
