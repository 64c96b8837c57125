// The forecasts of a series: the one that continues it, and those of the windows of its past.

/** A column of rows, by the names of all columns. */
export function columnOf(rows, names, name) {
  const place = names.indexOf(name);
  return place < 0 ? [] : rows.map((row) => row[place]);
}

export class Forecasts {
  /** `series` is that of `readCsv`; `answer` has the `results` of the series, its `windows` and the `before` of a change. */
  constructor(series, answer) {
    this.series = series;
    this.answer = answer;
    this.result = answer.results[0];
    this.targets = this.result.targets;
    this.rows = series.labels.length;
    this.unit = answer.unit;
    this.isWindowed = answer.isWindowed;
    this.byLast = new Map(answer.windows.map((window) => [window.last, window]));
  }

  /** The same forecasts of a changed series, until it is answered. */
  of(series) {
    return new Forecasts(series, this.answer);
  }

  /** What a panel shows of a column while the cursor is `at` a row. */
  partsOf(name, at) {
    const next = columnOf(this.result.values, this.targets, name);
    const before = this.answer.before ? columnOf(this.answer.before, this.targets, name) : [];
    const window = at === null ? null : this.windowAt(at);
    const column = (rows) => columnOf(rows, this.targets, name);
    return {
      values: this.valuesOf(name),
      next,
      before: before.some((value, step) => value !== next[step]) ? before : null,
      then: window && { first: window.first, last: window.last, values: column(window.values) },
      reach: this.answer.windows.flatMap(({ values }) => column(values)),
    };
  }

  /** The numbers of a column; null for a missing one. */
  valuesOf(name) {
    return this.series.columns[name]?.values ?? Array(this.rows).fill(null);
  }

  /** The number of a column at a row of the past or of the forecast; null if there is none. */
  numberAt(name, at) {
    return at < this.rows ? this.valuesOf(name)[at] : (columnOf(this.result.values, this.targets, name)[at - this.rows] ?? null);
  }

  /** The window that ends with a row; of the forecast, the last one. */
  windowAt(at) {
    return this.byLast.get(Math.min(at, this.rows - 1)) ?? null;
  }

  /** The hidden state below each row. A network that reads windows begins each without memory: below a row is the state at the end of the window that ends with it. */
  states() {
    const { states } = this.result;
    const first = this.answer.windows[0];
    if (!this.isWindowed || !first?.states) return [...Array(Math.max(0, this.rows - states.length)).fill(null), ...states.slice(-this.rows)];
    const ends = this.answer.windows.map((window) => window.states.at(-1));
    return [...first.states.slice(0, -1), ...ends];
  }
}

/** The errors of the forecasts of past windows, as the service counts them: `{ windows, errors }`, of each target with known numbers `{ name, error, persistence }`. */
export function backtest({ answer, targets }) {
  const { windows, error = {}, persistence = {} } = answer;
  const errors = targets.filter((name) => name in error && name in persistence).map((name) => ({ name, error: error[name], persistence: persistence[name] }));
  return { windows: windows.filter(({ actual }) => actual?.length).length, errors };
}
