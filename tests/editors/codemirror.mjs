// Reads texts from standard input, as a list in JSON, and writes for each the tokens of CodeMirror's mode: [start, end, kind].

import { readFileSync } from "node:fs";
import { register } from "node:module";

// the mode lies beside the playground; its packages are found here
register(
  "data:text/javascript," +
    encodeURIComponent(`export const resolve = (name, context, next) =>
      next(name, /^[./]|^[a-z]+:/.test(name) ? context : { ...context, parentURL: ${JSON.stringify(import.meta.url)} });`),
);
const { tagHighlighter, highlightTree } = await import("@lezer/highlight");
const { kinds, language, words } = await import("../../playground/src/language.js");

const highlighter = tagHighlighter(Object.entries(kinds).map(([kind, tag]) => ({ tag, class: kind })));
const texts = JSON.parse(readFileSync(0, "utf8"));
const tokens = texts.map((text) => {
  const found = [];
  highlightTree(language.parser.parse(text), highlighter, (from, to, kind) => found.push([from, to, kind]));
  return found;
});
process.stdout.write(JSON.stringify({ tokens, words: Object.values(words).flatMap((set) => [...set]) }));
