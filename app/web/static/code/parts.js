// Shared by the writers of code.

/** Stands for the state that an earlier request returned. */
export const STATE = "$STATE";

/** The address of a path of this service. */
export function address(path) {
  return new URL(path, document.baseURI).href;
}

/** A path with options in its query string. */
export function withOptions(path, options) {
  const query = new URLSearchParams(options).toString();
  return query ? `${path}?${query}` : path;
}

/** Lines moved to the right. */
export function indented(text, by) {
  return text.replaceAll("\n", `\n${" ".repeat(by)}`);
}
