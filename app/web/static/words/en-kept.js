// English texts of the kept state.

export default {
  keptTitle: "The memory, kept",
  keptNav: "Kept state",
  keptAbout:
    "The hidden state is the network's memory: numbers of fixed size that sum up the input so far, however long it was. The service " +
    "returns it, this page keeps it and sends it back, and only what you type on is read. Save a point, and try two endings from it.",
  keptTask_sentiment: "sentiment",
  keptTask_classification: "classification",
  keptTask_completion: "language model",
  keptTask_forecasting: "forecast",
  keptLabel: "Type on",
  keptRun: "Read",
  keptSave: "Save this point",
  "hint_kept-typed": "Type on, or press Read. The answer follows; the marked words are those that were read.",
  keptNow_tokens: "tokens read now: {count}",
  keptNow_rows: "rows read now: {count}",
  keptBefore_tokens: "tokens kept: {count}",
  keptBefore_rows: "rows kept: {count}",
  keptSize: "state: {bytes} bytes",
  keptAgain_tokens: "The last word may still grow: the state keeps it as text, and it is read again.",
  keptAgain_rows: "A row is read when its line has ended.",
  keptNext: "The most probable next tokens; ␣ is a space.",
  keptStep: "step",
  keptStale: "The page has forgotten its states. Press Read to read the text from its beginning.",
  keptPoint: "Saved point",
  keptEnding1: "Ending 1",
  keptEnding2: "Ending 2",
  keptTry: "Try both",
  keptBack: "Return to this point",
  keptPointStale: "This point can no longer be used. Read the text again, and save a new point.",
  "hint_kept-endings": "Press Try both. The two endings are read from the same state.",
};
