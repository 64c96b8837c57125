// Why a request was not answered, in the language of the page.

import { canSay, say } from "./words.js";

/** What went wrong, in a few words: by the problem's type, or else as the service calls it. */
export function problemTitle({ status, slug, title }) {
  if (status === 0) return say("unreachable");
  return canSay(`problem.${slug}`) ? say(`problem.${slug}`) : (title ?? say("broke"));
}

/** Whether a request was refused for want of the right key. */
export function wantsKey({ status }) {
  return status === 401 || status === 403;
}
