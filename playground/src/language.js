// The .net language for CodeMirror: what each word and sign is by its form, indentation, folding.
//
// It follows netdsl/ide/highlight.py, which reads tokens where this reads characters; tests/test_editors.py holds both
// to the same texts.

import { LanguageSupport, StreamLanguage, foldService, indentUnit } from "@codemirror/language";
import { Tag, tags } from "@lezer/highlight";

const set = (text) => new Set(text.split(" "));

/** Words that are never names, then those that are names wherever they do not open or end something. */
export const words = {
  reserved: set("and as choose def elif else for from if import in not or return train when"),
  joints: set("add concat fork mul"),
  constants: set("false none true"),
  opening: set("decide default init input meta order output require stage weight"),
  declaring: set("block inline net table variant"),
  other: set("first same"),
};
const fixed = new Set([...words.reserved, ...words.joints, ...words.constants]);
const declares = { block: "block", net: "block", table: "table", variant: "variant" };
const takesValues = set("input require weight");
const noCalls = new Set([...words.opening, ...words.other, "inline", "variant"]);

/** A tag for each kind. Themes that do not know it take its parent's style. */
export const kinds = {
  comment: tags.lineComment,
  string: tags.string,
  number: tags.number,
  size: Tag.define("size", tags.number),
  constant: tags.bool,
  keyword: tags.keyword,
  operator: tags.operator,
  punctuation: tags.punctuation,
  op: tags.function(tags.variableName),
  function: tags.standard(tags.function(tags.variableName)),
  block: tags.className,
  variant: Tag.define("variant", tags.className),
  table: Tag.define("table", tags.className),
  label: tags.labelName,
  parameter: Tag.define("parameter", tags.variableName),
  type: tags.typeName,
  argument: Tag.define("argument", tags.propertyName),
  property: tags.propertyName,
  annotation: tags.annotation,
  name: tags.variableName,
};

const NAME = String.raw`[A-Za-z_]\w*(?:\{[^{}]*\}\w*)*`;
const PART = String.raw`(?:${NAME}|"[^"]*"|\{[^{}]*\}|[0-9]\w*)`;
const LABEL = new RegExp(String.raw`^(?:${NAME}|"[^"]*")(?:\s*\.\s*${PART})*\s*:`);
const WORD = new RegExp(`^${NAME}`);
const BRACES = /^\{[^{}]*\}/;
const BEGINS_NAME = /^\s*["A-Za-z_]/;
const SIZE = /^[0-9]+(?:x[0-9]+)+(?!\w)/;
const NUMBER = /^[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?:[KMGT]i?B?)?(?!\w)/;
const SIGN = /^(?:->|\*\*|\/\/|[=!<>]=|[-+*/%<>=|@:,.()[\]])/;
// what begins a declaration, and stands in no bracket: one that is open was forgotten
const DECLARES = /^(?:inline block|block|net|table|variant|def|import) [A-Za-z_]/;
// what has no meaning, as the compiler skips it
const FAULT = /^(?:[0-9][\w.]*|'[^'"]*'|".*|.)/;

/** Return where the bracket is closed that opens a text, or -1. */
function closing(text) {
  let depth = 0;
  for (const found of text.matchAll(/"[^"]*"|#.*|[()[\]]/g)) {
    depth += { "(": 1, "[": 1, ")": -1, "]": -1 }[found[0]] ?? 0;
    if (depth === 0) return found.index + 1;
  }
  return -1;
}

/**
 * Tell whether a text goes on with indices and attributes, and then is multiplied: `[i].n * conv`. A bracket that is
 * closed on another line is an index if nothing stands before it: a list that is given to an op stands apart.
 */
function counts(text) {
  for (;;) {
    const next = text.trimStart();
    const attribute = /^\.\s*[A-Za-z_]\w*/.exec(next);
    const end = attribute ? attribute[0].length : next[0] === "[" ? closing(next) : -1;
    if (end < 0) return text[0] === "[" || /^\*(?!\*)/.test(next);
    text = next.slice(end);
  }
}

/** What is known where a token begins; see `_Line` of highlight.py. */
function begin(expects, top) {
  return {
    expects,
    top,
    brackets: [],
    counted: -1,
    colon: "statement",
    // what the names are that come next, one each: of `variant v = N` "variant" and, behind the "=", "block"
    declared: [],
    header: "",
    slot: "",
    again: "",
    within: 0,
    // whether a label goes on behind a dot
    label: false,
    targets: false,
    before: "",
    // the kind of a name with braces, and what was known in front of the brace that is open
    filled: "",
    outside: null,
  };
}

function copy(state) {
  return {
    ...state,
    brackets: [...state.brackets],
    declared: [...state.declared],
    outside: state.outside && copy(state.outside),
  };
}

function startLine(stream, state) {
  const blank = /^\s*(?:#|$)/.test(stream.string);
  const open = state.brackets.length > 0 && !DECLARES.test(stream.string);
  if (blank || open || /^\s*->/.test(stream.string)) return;
  const indented = stream.indentation() > 0;
  const rows = state.rows && indented;
  Object.assign(state, begin(rows ? "operand" : "statement", !indented), { rows, indent: stream.indentation() });
}

function token(stream, state) {
  if (stream.sol()) startLine(stream, state);
  if (state.filled && !state.outside) return filling(stream, state);
  if (stream.eatSpace()) return null;
  if (stream.match(/^#.*/)) return "comment";
  if (state.outside && stream.eat("}")) return closeBrace(state);
  return read(stream, state);
}

/** Read what follows in a name with braces: a text, or a brace. */
function filling(stream, state) {
  if (stream.match(/^\w+/)) return state.filled;
  if (stream.match(/^\{(?=[^{}]*\})/)) {
    const outside = copy(state);
    Object.assign(state, begin("operand", false), { outside });
    return "punctuation";
  }
  state.filled = "";
  return token(stream, state);
}

function closeBrace(state) {
  Object.assign(state, state.outside);
  return "punctuation";
}

function read(stream, state) {
  const rest = stream.string.slice(stream.pos);
  const expects = state.expects;
  if (stream.match(/^"[^"]*"/)) {
    if (beginsLabel(state, rest)) state.label = true;
    goOn(state, "part");
    return "string";
  }
  if (stream.match(SIZE) || stream.match(NUMBER)) {
    const size = /x/.test(stream.current());
    if (["statement", "step"].includes(expects) && /^\s*\*(?!\*)/.test(rest.slice(stream.current().length))) {
      state.counted = state.brackets.length;
    }
    goOn(state, "part");
    return size ? "size" : "number";
  }
  const name = (WORD.exec(rest) ?? BRACES.exec(rest))?.[0];
  if (name) {
    const after = rest.slice(name.length);
    if (!/^\w+$/.test(name)) {
      state.filled = nameKind(state, "", rest, after);
      return filling(stream, state);
    }
    stream.match(name);
    return fixed.has(name) ? reserved(state, name, after) : nameKind(state, name, rest, after);
  }
  if (stream.match(SIGN)) return sign(state, stream.current(), rest);
  stream.match(FAULT);
  return null;
}

/** Go on behind an operand. */
function goOn(state, before) {
  state.expects = "operator";
  state.before = before;
}

function beginsLabel(state, rest) {
  const { expects, brackets } = state;
  return (expects === "statement" || (expects === "step" && brackets.length > 0)) && LABEL.test(rest);
}

/** Return the kind of a name, and go on behind it; `word` is empty if it holds braces. */
function nameKind(state, word, rest, after) {
  const { expects, before } = state;
  const statement = expects === "statement";
  const listed = state.slot && state.brackets.length === state.within;
  if (state.declared.length) {
    goOn(state, "declared");
    return state.declared.shift();
  }
  if (state.label && (before === "." || before === "label")) {
    goOn(state, "part");
    return "label";
  }
  state.label = false;
  if (statement || expects === "step") {
    if (beginsLabel(state, rest)) {
      state.label = true;
      goOn(state, "part");
      return "label";
    }
    if (statement && (state.targets || /^\s*(?:=(?!=)|,)/.test(after))) {
      state.targets = true;
      state.before = "part";
      return "name";
    }
    const declaring = words.declaring.has(word);
    const opening = declaring || words.opening.has(word);
    const counting = (takesValues.has(word) ? /^(?:\[|\s*[.*])/ : /^\s*[[.*]/).test(after) && counts(after);
    if (statement && opening && (state.top || !declaring) && !counting && !/^\s*(?:[:=,.]|\*(?!\*))/.test(after)) {
      return declaring ? declaration(state, word) : opened(state, word, after);
    }
    if (word === "same" && BEGINS_NAME.test(after)) return labelled(state);
    if (counting) return count(state);
    const called = word && !noCalls.has(word);
    state.expects = called ? "operand" : "operator";
    state.before = "part";
    return called ? "op" : "name";
  }
  goOn(state, "part");
  if (listed) return state.slot;
  if (before === ".") return "property";
  if (word === "first" && expects === "operator") return "keyword";
  if (word && /^\s*=(?!=)/.test(after)) return "argument";
  if (word && /^\s*\(/.test(after)) return "function";
  return "name";
}

function count(state) {
  state.counted = state.brackets.length;
  goOn(state, "part");
  return "name";
}

/** Read a keyword that a label follows. */
function labelled(state) {
  state.label = true;
  state.expects = "operator";
  state.before = "label";
  return "keyword";
}

function declaration(state, word) {
  state.before = "";
  if (word === "inline") return "keyword";
  state.declared = word === "variant" ? ["variant", "block"] : [declares[word]];
  state.header = word;
  state.rows = word === "table";
  state.expects = "operator";
  return "keyword";
}

function opened(state, word, after) {
  state.expects = ["default", "init"].includes(word) ? "step" : "operand";
  state.before = "";
  if (word === "order" || word === "decide") {
    state.slot = state.again = word === "order" ? "label" : "argument";
    state.within = /^\s*\(/.test(after) ? 1 : 0;
  } else if (word === "stage" && /^\s*[A-Za-z_{]/.test(after)) {
    state.declared = ["label"];
  } else if (word === "output" || word === "weight") {
    labelled(state);
  } else if (word === "input") {
    state.colon = "operand";
    if (/^\s*[A-Za-z_]\w*\s*:/.test(after)) state.declared = ["label"];
  }
  return "keyword";
}

function reserved(state, word, after) {
  state.before = "";
  state.label = false;
  if (words.constants.has(word)) {
    goOn(state, "part");
    return "constant";
  }
  if (word === "as") return labelled(state);
  if (word === "train") {
    if (!/^\s+output\b/.test(after)) state.expects = "operator";
    return /^\s*=(?!=)/.test(after) ? "argument" : "keyword";
  }
  state.expects = "operand";
  if (word === "def") {
    state.declared = ["function"];
    state.header = word;
  } else if (word === "from" && state.header) {
    state.slot = state.again = "parameter";
    state.within = 0;
  } else if (word === "in" && state.brackets.length === state.within) {
    state.slot = "";
  }
  return words.joints.has(word) ? "op" : "keyword";
}

function sign(state, text, rest) {
  const { brackets, before } = state;
  const listed = brackets.length === state.within;
  state.before = text;
  if (text === "(" || text === "[") {
    let steps = ["statement", "step"].includes(state.expects);
    const end = steps && text === "(" ? closing(rest) : -1;
    if (end > 0 && counts(rest.slice(end)) && !/->|\|/.test(rest.slice(0, end))) {
      state.counted = brackets.length;
      steps = false;
    }
    brackets.push(steps ? "steps" : "values");
    state.expects = steps ? "step" : "operand";
    if (before === "declared" && state.header && state.header !== "variant") {
      state.slot = state.again = "parameter";
      state.within = 1;
    }
    return "punctuation";
  }
  if (text === ")" || text === "]") {
    state.expects = brackets.pop() === "steps" ? "operand" : "operator";
    if (brackets.length < state.within) {
      state.slot = state.again = "";
      state.within = 0;
    }
    return "punctuation";
  }
  if (text === ".") return "punctuation";
  state.label = false;
  if (text === "@") {
    state.declared = ["annotation"];
  } else if (text === "->" || text === "|" || (text === ":" && brackets.at(-1) === "steps")) {
    state.expects = "step";
    return text === ":" ? "punctuation" : "operator";
  } else if (text === "*" && state.counted === brackets.length) {
    state.counted = -1;
    state.expects = "step";
    return "operator";
  } else if (text === ":" && !brackets.length) {
    Object.assign(state, { expects: state.colon, top: false, header: "", slot: "", again: "" });
    return "punctuation";
  } else if (listed && text === ",") {
    state.slot = state.again;
  } else if (listed && text === ":" && state.slot) {
    state.slot = "type";
  } else if (listed && text === "=") {
    state.slot = "";
  }
  if (state.targets && text === ",") return "punctuation";
  state.targets = false;
  state.expects = "operand";
  return text === "," || text === ":" ? "punctuation" : "operator";
}

/** Return how far a line is indented by what stands above it. */
function indent(state, textAfter, context) {
  const closes = /^[)\]]/.test(textAfter);
  if (state.brackets.length) return state.indent + (closes ? 0 : context.unit);
  if (state.before === ":") return state.indent + context.unit;
  const back = /^(?:elif|else)\b/.test(textAfter) ? context.unit : 0;
  return Math.max(0, state.indent - back);
}

/** Fold the lines below that are indented further. */
const folding = foldService.of((state, from) => {
  const depth = (text) => text.search(/[^ ]/);
  const first = state.doc.lineAt(from);
  if (!/[:([]\s*(?:#.*)?$/.test(first.text)) return null;
  let end = first.to;
  for (let number = first.number + 1; number <= state.doc.lines; number++) {
    const line = state.doc.line(number);
    if (!/\S/.test(line.text)) continue;
    if (depth(line.text) <= depth(first.text)) break;
    end = line.to;
  }
  return end > first.to ? { from: first.to, to: end } : null;
});

export const language = StreamLanguage.define({
  name: "netdsl",
  startState: () => ({ ...begin("statement", true), rows: false, indent: 0 }),
  copyState: copy,
  token,
  indent,
  tokenTable: kinds,
  languageData: {
    commentTokens: { line: "#" },
    closeBrackets: { brackets: ["(", "[", "{", '"'] },
    indentOnInput: /^\s*(?:elif\b.*|else:|[)\]])$/,
    wordChars: "_",
  },
});

/** The language as an extension of an editor. */
export const netdsl = () => new LanguageSupport(language, [folding, indentUnit.of("    ")]);
