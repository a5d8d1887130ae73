// Writes the TextMate grammar: `npm run grammar`. It is put together here, since regular expressions have no names.
//
// Kinds are those of netdsl/ide/highlight.py, and tests/test_editors.py holds both to the same texts. A region is open
// where a step is expected (`expected`), and ends with what the step calls.

import { writeFileSync } from "node:fs";

// ---------------------------------------------------------------- words

const reserved = "and|as|choose|def|elif|else|for|from|if|import|in|not|or|return|train|when";
const joints = "add|concat|fork|mul";
const constants = "false|none|true";
const opening = "decide|default|init|input|meta|order|output|require|stage|weight";
const declaring = "block|inline|net|table|variant";
const other = "first|same";
const fixed = `${reserved}|${joints}|${constants}`;

// ---------------------------------------------------------------- pieces of expressions

const word = String.raw`[A-Za-z_]\w*`;
const braces = String.raw`\{[^{}]*\}`;
const name = String.raw`${word}(?:${braces}\w*)*`;
const string = String.raw`"[^"]*"`;
const part = String.raw`(?:${name}|${string}|${braces}|[0-9]\w*)`;
const dotted = String.raw`(?:\s*\.\s*${part})*`;
const label = String.raw`(?:${name}|${string})${dotted}`;
const number = String.raw`[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?:[KMGT]i?B?)?(?!\w)`;
const size = String.raw`[0-9]+(?:x[0-9]+)+(?!\w)`;
const assigns = String.raw`\s*=(?!=)`;
const times = String.raw`\s*\*(?!\*)`;
/** A bracket with others in it, three deep: an expression that calls itself would take its groups' numbers. */
const nest = (open, close, but, depth = 3) => {
  const inner = depth ? `|${nest(open, close, but, depth - 1)}` : "";
  return `${open}(?:[^${but}${open}${close}]${inner})*${close}`;
};
const index = nest("\\[", "\\]", "");
const parentheses = nest("\\(", "\\)", "|");
/** Indices and attributes, at least one, and a `*`. */
const counting = (gap = String.raw`\s*`) =>
  String.raw`${gap}(?:\.\s*${word}|${index})(?:\s*\.\s*${word}|\s*${index})*${times}`;
/** An index that is closed on another line; a list that is given to an op stands apart. */
const broken = String.raw`(?:\.\s*${word}|${index})*\[(?:[^\[\]"#]|${string}|${index})*(?:#.*)?$`;
/** What follows a word that could open a statement, and is a name. */
const named = (gap) => String.raw`\s*[:=,.]|${times}|${counting(gap)}|${broken}`;
// a bracket that is never closed ends there
const mended = String.raw`(?=^(?:inline block|block|net|table|variant|def|import) [A-Za-z_])`;
const first = String.raw`(?:\s+(first)\b(?!\s*[=(]))?`;
// behind these, `first` is a name
const behind = `${fixed}|${opening}|same`.split("|").map((one) => String.raw`(?<!\b${one})`).join("");

// ---------------------------------------------------------------- scopes

const scope = (text) => ({ name: `${text}.netdsl` });
const scopes = (...texts) =>
  Object.fromEntries(texts.flatMap((text, at) => (text ? [[at + 1, text.patterns ? text : scope(text)]] : [])));
const include = (...texts) => texts.map((text) => ({ include: `#${text}` }));
const within = (...texts) => ({ patterns: include(...texts) });

const KEYWORD = "keyword.control";
const DECLARES = "storage.type";
const OPERATOR = "keyword.operator";
const SIGN = "punctuation";
const OP = "support.function.op";
const NAME = "variable.other";
const LABEL = "entity.name.tag"; // as keys of YAML, which labels are to weights
const PARAMETER = "variable.parameter";
const ARGUMENT = "variable.parameter.function-call";

// ---------------------------------------------------------------- steps

/** Where a step is expected: counts and labels may come first; it ends with the op. */
const expected = (begin, beginCaptures, inBrackets) => ({
  begin,
  beginCaptures,
  end:
    String.raw`${mended}|(?!(?:${fixed})\b)(?:(same)(?=\s+["A-Za-z_])|((?:${opening}|inline|variant|${other})\b(?!\{))` +
    String.raw`|(${word})(?![\w{])${first}|(${name}))|(?=[^\s#])${inBrackets ? "" : "|$"}`,
  endCaptures: scopes(KEYWORD, NAME, OP, NAME, within("names")),
  applyEndPatternLast: true,
  patterns: [
    ...include("comment"),
    ...(inBrackets
      ? [
          { match: String.raw`(?!(?:${fixed})\b)(${label})\s*(:)`, captures: scopes(within("labels"), SIGN) },
        ]
      : []),
    { match: String.raw`(?:(${size})|(${number}))\s*(\*)(?!\*)`, captures: scopes("constant.numeric.size", "constant.numeric", OPERATOR) },
    { match: String.raw`(?!(?:${fixed})\b)(${word})\s*(\*)(?!\*)`, captures: scopes(NAME, OPERATOR) },
    {
      begin: String.raw`(?!(?:${fixed})\b)(${word})(?=${counting()}|${broken})`,
      beginCaptures: scopes(NAME),
      end: String.raw`(\*)|(?=->|[,:|)])|${mended}`,
      endCaptures: scopes(OPERATOR),
      patterns: include("values"),
    },
    {
      begin: String.raw`(?=${parentheses}(?:${times}|${counting()}))(?!\([^)]*->)`,
      end: String.raw`(\*)`,
      endCaptures: scopes(OPERATOR),
      patterns: include("values"),
    },
    {
      // a group, and arguments behind it if it chooses an op
      begin: String.raw`(?=[(\[])`,
      end: String.raw`(?=->|[|:)\]])|${mended}${inBrackets ? "" : "|$"}`,
      patterns: [
        steps(String.raw`\(`, String.raw`(\))${first}`),
        steps(String.raw`\[`, String.raw`(\])`),
        ...include("values"),
      ],
    },
  ],
});

/** A bracket that holds steps. */
function steps(opens, closes) {
  return {
    begin: String.raw`\G(?=${opens})`,
    end: `${closes}|${mended}`,
    endCaptures: scopes(SIGN, NAME),
    patterns: include("opened", "stepsInBrackets", "values"),
  };
}

// ---------------------------------------------------------------- the grammar

/** A bracket that holds values, or what else is said. */
const bracket = (opens, closes, ...patterns) => ({
  begin: opens,
  beginCaptures: scopes(SIGN),
  end: `(${closes})|${mended}`,
  endCaptures: scopes(SIGN),
  patterns: include(...patterns),
});

const repository = {
  comment: { match: "#.*", ...scope("comment.line.number-sign") },
  string: { match: string, ...scope("string.quoted.double") },
  number: {
    patterns: [
      { match: size, ...scope("constant.numeric.size") },
      { match: number, ...scope("constant.numeric") },
    ],
  },
  // as the compiler skips it
  invalid: { match: String.raw`[0-9][\w.]*|'[^'"]*'|".*`, ...scope("invalid.illegal") },
  braces: {
    match: String.raw`(\{)([^{}]*)(\})`,
    captures: scopes(SIGN, within("values"), SIGN),
  },
  operator: { match: String.raw`->|\*\*|//|[=!<>]=|[-+*/%<>=|@]`, ...scope(OPERATOR) },
  sign: { match: String.raw`[,:.()\[\]]`, ...scope(SIGN) },
  // names with braces, by what they are
  labels: { patterns: [...include("braces", "string", "number"), { match: String.raw`[A-Za-z_]\w*|\w+`, ...scope(LABEL) }, ...include("sign")] },
  names: { patterns: [...include("braces"), { match: String.raw`\w+`, ...scope(NAME) }, ...include("sign")] },
  properties: { patterns: [...include("braces"), { match: String.raw`\w+`, ...scope("variable.other.property") }] },
  arguments: { patterns: [...include("string", "number"), { match: word, ...scope(ARGUMENT) }, ...include("sign")] },
  parameters: { patterns: [...include("comment"), { match: String.raw`\b(?:from)\b`, ...scope(KEYWORD) }, { match: word, ...scope(PARAMETER) }, ...include("values")] },
  // `c`, `act: op = relu`, `depth: int in [1, 2] = 2`
  typed: {
    patterns: [
      ...include("comment"),
      { match: String.raw`(:)\s*(${word})`, captures: scopes(SIGN, "support.type") },
      {
        begin: String.raw`(=)|\b(in)\b`,
        beginCaptures: scopes(OPERATOR, KEYWORD),
        end: String.raw`(?=[,)])|${mended}`,
        patterns: include("values"),
      },
      { match: word, ...scope(PARAMETER) },
      ...include("values"),
    ],
  },

  values: {
    patterns: [
      ...include("comment", "string", "number", "invalid"),
      { match: String.raw`(@)\s*(${word})`, captures: scopes(OPERATOR, "entity.name.function.decorator") },
      { match: String.raw`(?<!\.)\b(as)\s+(${label})`, captures: scopes(KEYWORD, within("labels")) },
      { match: String.raw`(?<=\bsame)\s+(?!(?:${fixed})\b)(${label})`, captures: scopes(within("labels")) },
      { match: String.raw`(\.)\s*(${name})`, captures: scopes(SIGN, within("properties")) },
      { match: String.raw`\b(?:${constants})\b`, ...scope("constant.language") },
      { match: String.raw`\b(?:${joints})\b`, ...scope(OP) },
      { match: String.raw`\b(${word})(?=${assigns})(?<!\b(?:if|in|or|as))`, captures: scopes(ARGUMENT) },
      { match: String.raw`\b(?:${reserved})\b`, ...scope(KEYWORD) },
      { match: String.raw`(?<=[\w)\]"])${behind}\s+(first)\b(?!\s*[=(])`, captures: scopes(KEYWORD) },
      { match: String.raw`\b(${word})(?=\s*\()`, captures: scopes("entity.name.function") },
      { match: name, captures: { 0: within("names") } },
      ...include("braces"),
      bracket(String.raw`(\()`, String.raw`\)`, "values"),
      bracket(String.raw`(\[)`, String.raw`\]`, "values"),
      ...include("operator", "sign"),
    ],
  },

  opened: expected(String.raw`\G([(\[])`, scopes(SIGN), true),
  stepsInBrackets: expected(String.raw`(->|\|)`, scopes(OPERATOR), true),
  steps: expected("(->)", scopes(OPERATOR), false),

  // what stands behind the beginning of a statement
  line: {
    patterns: [
      ...include("comment", "steps"),
      { begin: "(:)", beginCaptures: scopes(SIGN), end: "$", patterns: include("statement", "line") },
      ...include("values"),
    ],
  },

  declaration: {
    patterns: [
      {
        begin: String.raw`^(?:(inline)\s+)?(block|net)\b(?!${named()})(?:\s+(${word}))?`,
        beginCaptures: scopes(DECLARES, DECLARES, "entity.name.type.block"),
        end: `(?=:)|${mended}|$`,
        patterns: [bracket(String.raw`\G\s*(\()`, String.raw`\)`, "typed"), ...include("parameters")],
      },
      {
        match: String.raw`^(variant)\b(?!${named()})(?:\s+(${word})(?:\s*(=)\s*(${word}))?)?`,
        captures: scopes(DECLARES, "entity.name.type.variant", OPERATOR, "entity.name.type.block"),
      },
      { match: String.raw`^(inline)\b(?!${named()})`, captures: scopes(DECLARES) },
    ],
  },

  statement: {
    patterns: [
      ...include("declaration"),
      { match: String.raw`\G\s*(?!(?:${fixed})\b)(${label})(?=\s*:)`, captures: scopes(within("labels")) },
      { match: String.raw`\G\s*(?!(?:${fixed})\b)(${name}(?:\s*,\s*${name})*)(?=${assigns})`, captures: scopes(within("names")) },
      {
        begin: String.raw`\G\s*(def)\b(?:\s+(${word}))?\s*(\()`,
        beginCaptures: scopes(DECLARES, "entity.name.function", SIGN),
        end: String.raw`(\))|${mended}`,
        endCaptures: scopes(SIGN),
        patterns: include("parameters"),
      },
      { match: String.raw`\G\s*(?:(train)\s+)?(output)\s+(${label})`, captures: scopes(KEYWORD, KEYWORD, within("labels")) },
      { match: String.raw`\G\s*(weight)\s+(${label})`, captures: scopes(DECLARES, within("labels")) },
      { match: String.raw`\G\s*(stage)\s+(${name}|${braces})`, captures: scopes(KEYWORD, within("labels")) },
      { match: String.raw`\G\s*(input)\s+(${word})\s*(:)`, captures: scopes(KEYWORD, LABEL, SIGN) },
      {
        begin: String.raw`\G\s*(default|init)\b(?!${named()})\s*`,
        beginCaptures: scopes(KEYWORD),
        end: "$",
        patterns: [{ match: String.raw`\G(?!(?:${fixed})\b)(${word})`, captures: scopes(OP) }, ...include("line")],
      },
      {
        begin: String.raw`\G\s*(order)\b(?!${named()})`,
        beginCaptures: scopes(KEYWORD),
        end: "$",
        patterns: include("comment", "labels"),
      },
      {
        begin: String.raw`\G\s*(decide)\b(?!${named()})`,
        beginCaptures: scopes(KEYWORD),
        end: "$",
        patterns: [bracket(String.raw`\G\s*(\()`, String.raw`\)`, "path", "values"), ...include("path", "values")],
      },
      { match: String.raw`\G\s*(meta|stage|output)\b(?!${named()})`, captures: scopes(KEYWORD) },
      // what values may follow counts only if its index follows at once
      { match: String.raw`\G\s*(input|require)\b(?!${named("")})`, captures: scopes(KEYWORD) },
      { match: String.raw`\G\s*(weight)\b(?!${named("")})`, captures: scopes(DECLARES) },
      expected(String.raw`\G(?=\s*(?:(?!(?:${fixed})\b)[A-Za-z_]|[(\[]|(?:${number})${times}))`, {}, false),
    ],
  },
  path: { match: String.raw`(${part}${dotted})(?=${assigns})`, captures: scopes(within("arguments")) },
};

const grammar = {
  $schema: "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
  name: "netdsl",
  scopeName: "source.netdsl",
  fileTypes: ["net"],
  patterns: [
    ...include("comment"),
    {
      begin: String.raw`^(table)\b(?!${named()})(?:\s+(${word}))?`,
      beginCaptures: scopes(DECLARES, "entity.name.type.table"),
      end: String.raw`^(?=[^\s#])`,
      patterns: [bracket(String.raw`\G\s*(\()`, String.raw`\)`, "parameters"), ...include("values")],
    },
    { begin: String.raw`^\s*(?=->)`, end: "$", patterns: include("line") },
    { begin: String.raw`^(?=\s*[^\s#])`, end: "$", patterns: include("statement", "line") },
  ],
  repository,
};

writeFileSync(new URL("netdsl.tmLanguage.json", import.meta.url), JSON.stringify(grammar, null, 2) + "\n");
