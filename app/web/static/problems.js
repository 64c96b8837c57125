// Titles of problems, in the language of the page.

import { canSay, say } from "./words.js";

/** The title of a problem: the page's own by its type, else the service's. */
export function problemTitle({ status, slug, title }) {
  if (status === 0) return say("unreachable");
  return canSay(`problem.${slug}`) ? say(`problem.${slug}`) : (title ?? say("broke"));
}

/** Whether a request was refused because of its key. */
export function wantsKey({ status }) {
  return status === 401 || status === 403;
}
