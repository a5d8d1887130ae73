// Reads texts from standard input, as a list in JSON, and writes the tokens that the TextMate grammar makes of each, as
// [start, end, kind].

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

// the kind of each scope that the grammar gives, by how it begins; the longest counts
const kinds = {
  comment: "comment",
  string: "string",
  "constant.numeric": "number",
  "constant.numeric.size": "size",
  "constant.language": "constant",
  "keyword.control": "keyword",
  "storage.type": "keyword",
  "keyword.operator": "operator",
  punctuation: "punctuation",
  "support.function.op": "op",
  "entity.name.function": "function",
  "entity.name.function.decorator": "annotation",
  "entity.name.type.block": "block",
  "entity.name.type.variant": "variant",
  "entity.name.type.table": "table",
  "entity.name.tag": "label",
  "variable.parameter": "parameter",
  "variable.parameter.function-call": "argument",
  "support.type": "type",
  "variable.other.property": "property",
  "variable.other": "name",
  "invalid.illegal": "",
  source: "",
};

function kind(scope) {
  const found = Object.keys(kinds).filter((one) => scope === one || scope.startsWith(one + "."));
  if (!found.length) throw new Error(`${scope} is of no kind`);
  return kinds[found.sort((a, b) => b.length - a.length)[0]];
}

const path = "../../editors/vscode/syntaxes/netdsl.tmLanguage.json";
const source = readFileSync(new URL(path, import.meta.url), "utf8");
await oniguruma.loadWASM(readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm")).buffer);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => textmate.parseRawGrammar(source, path),
});
const grammar = await registry.loadGrammar("source.netdsl");

const texts = JSON.parse(readFileSync(0, "utf8"));
const read = texts.map((text) => {
  const found = [];
  let state = textmate.INITIAL;
  let begin = 0;
  for (const line of text.split("\n")) {
    const done = grammar.tokenizeLine(line, state);
    if (done.stoppedEarly) throw new Error(`too slow: ${line}`);
    for (const { startIndex, endIndex, scopes } of done.tokens) {
      const end = Math.min(endIndex, line.length);
      const of = kind(scopes.at(-1));
      if (of && startIndex < end) found.push([begin + startIndex, begin + end, of]);
    }
    state = done.ruleStack;
    begin += line.length + 1;
  }
  return { tokens: found };
});
process.stdout.write(JSON.stringify(read));
