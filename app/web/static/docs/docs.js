// Swagger UI at /docs. Links are relative, for a path prefix.

import { named } from "./names.js";

const FOLDED = ["Open Inference Protocol"]; // many operations for few readers

const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  requestInterceptor: linesAsTheyAre,
  onComplete: fold,
  plugins: [{ wrapComponents: { DeepLink: plainText } }],
});

named(document.getElementById("swagger-ui"));

/** Swagger UI sends a text of JSON lines as one JSON string. */
function linesAsTheyAre(request) {
  if (request.headers["Content-Type"] === "application/x-ndjson") request.body = JSON.parse(request.body);
  return request;
}

/** Fold sections, unless the address names one. */
function fold() {
  const [tag] = decodeURIComponent(location.hash.replace(/^#\//, "")).replaceAll("_", " ").split("/");
  for (const name of FOLDED) {
    if (name !== tag) ui.layoutActions.show(["operations-tag", name], false);
  }
}

/** The path of an operation without its link: it stands in a button, which already leads there. */
function plainText(_, { React }) {
  return ({ text }) => React.createElement("span", null, text);
}
