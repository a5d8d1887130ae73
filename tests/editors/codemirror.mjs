// Reads texts from standard input, as a list in JSON, and writes what CodeMirror's mode makes of each: tokens, as
// [start, end, kind]; how far it indents each line, by what stands above; and the lines at which text can be folded.

import { readFileSync } from "node:fs";
import { register } from "node:module";

// the mode lies beside the playground; its packages are found here
register(
  "data:text/javascript," +
    encodeURIComponent(`export const resolve = (name, context, next) =>
      next(name, /^[./]|^[a-z]+:/.test(name) ? context : { ...context, parentURL: ${JSON.stringify(import.meta.url)} });`),
);
const { ensureSyntaxTree, foldable, getIndentation } = await import("@codemirror/language");
const { EditorState } = await import("@codemirror/state");
const { tagHighlighter, highlightTree } = await import("@lezer/highlight");
const { kinds, language, netdsl } = await import("../../playground/src/language.js");

const highlighter = tagHighlighter(Object.entries(kinds).map(([kind, tag]) => ({ tag, class: kind })));
const texts = JSON.parse(readFileSync(0, "utf8"));
const read = texts.map((text) => {
  const tokens = [];
  highlightTree(language.parser.parse(text), highlighter, (from, to, kind) => tokens.push([from, to, kind]));
  let state = EditorState.create({ doc: text, extensions: [netdsl()] });
  ensureSyntaxTree(state, text.length, 60000);
  state = state.update({}).state; // which has the whole tree
  const lines = Array.from({ length: state.doc.lines }, (_, at) => state.doc.line(at + 1));
  const indented = lines.map((line) => getIndentation(state, line.from));
  const folds = lines.filter((line) => foldable(state, line.from, line.to)).map((line) => line.number);
  return { tokens, indented, folds };
});
process.stdout.write(JSON.stringify(read));
