// The editor: a spec with what it costs in the margin, what flows behind each line, and what is wrong where it is.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, snippetCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Annotation, EditorState, RangeSet, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, drawSelection, EditorView, gutter, GutterMarker, highlightActiveLine, highlightActiveLineGutter,
  highlightSpecialChars, hoverTooltip, keymap, lineNumbers, WidgetType,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { make } from "./dom.js";
import { netdsl } from "./language.js";

export const colours = syntaxHighlighting(HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: "var(--keyword)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--faint)" },
  { tag: [tags.number, tags.bool, tags.null, tags.self], color: "var(--number)" },
  { tag: tags.string, color: "var(--string)" },
  { tag: [tags.labelName, tags.function(tags.definition(tags.variableName))], color: "var(--label)", fontWeight: "600" },
  { tag: [tags.className, tags.typeName, tags.definition(tags.className)], color: "var(--type)" },
  { tag: tags.function(tags.variableName), color: "var(--function)" },
  { tag: [tags.propertyName, tags.standard(tags.function(tags.variableName)), tags.annotation, tags.meta], color: "var(--property)" },
  { tag: [tags.operator, tags.punctuation], color: "var(--sign)" },
]));

// ---------------------------------------------------------------- what lines cost, and what flows there

class Cost extends GutterMarker {
  constructor(amount, title, about) {
    super();
    Object.assign(this, { amount, title, about });
  }
  eq(other) {
    return this.amount.said === other.amount.said && this.amount.share === other.amount.share;
  }
  toDOM() {
    const { said, exact, share } = this.amount;
    // what stands in a body is shown there: its sum is said, and no part of the whole
    const title = share ? `${exact} ${this.title}, ${(100 * share).toFixed(1)}%` : `${exact} ${this.title} in all that follows`;
    const box = make("div", { class: share ? "cost" : "cost sum", title: `${title}\n\n${this.about}` }, said);
    box.style.setProperty("--part", `${(100 * share).toFixed(1)}%`);
    return box;
  }
}

class Hint extends WidgetType {
  constructor(text, kind) {
    super();
    Object.assign(this, { text, kind });
  }
  eq(other) {
    return this.text === other.text && this.kind === other.kind;
  }
  toDOM() {
    return make("span", { class: `hint ${this.kind}` }, this.text);
  }
}

const setFacts = StateEffect.define();
const none = { params: RangeSet.empty, macs: RangeSet.empty, hints: Decoration.none };

const facts = StateField.define({
  create: () => none,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(setFacts)) return effect.value;
    if (!transaction.docChanged) return value;
    return Object.fromEntries(Object.entries(value).map(([name, set]) => [name, set.map(transaction.changes)]));
  },
  provide: field => EditorView.decorations.from(field, value => value.hints),
});

const column = name => gutter({
  class: `cm-cost cm-${name}`,
  markers: view => view.state.field(facts)[name],
});

/** Return what `facts` holds, of an answer of the analysis. */
const arranged = (state, { lines, diagnostics }) => {
  const doc = state.doc, sets = { params: [], macs: [] }, hints = [], wrong = new Map();
  for (const one of diagnostics) {
    if (one.line === undefined || one.line > doc.lines) continue;
    const worse = wrong.get(one.line);
    if (!worse || (worse.severity !== "error" && one.severity === "error")) wrong.set(one.line, one);
  }
  const shapes = new Map();
  for (const one of lines) {
    if (one.line > doc.lines) continue;
    const at = doc.line(one.line).from;
    if (one.params) sets.params.push(new Cost(one.params, "params", one.about).range(at));
    if (one.macs) sets.macs.push(new Cost(one.macs, "MACs", one.about).range(at));
    if (one.shapes) shapes.set(one.line, one.shapes + (one.copies > 1 ? ` ×${one.copies}` : "") + (one.net ? ` in ${one.net}` : ""));
  }
  for (const line of new Set([...shapes.keys(), ...wrong.keys()])) {
    const error = wrong.get(line), said = error ? error.message : shapes.get(line);
    hints.push(Decoration.widget({ widget: new Hint(said, error ? error.severity : "shape"), side: 1 }).range(doc.line(line).to));
  }
  return {
    params: RangeSet.of(sets.params, true),
    macs: RangeSet.of(sets.macs, true),
    hints: Decoration.set(hints, true),
  };
};

// ---------------------------------------------------------------- what is wrong

const goTo = (view, at, end = at) => {
  const most = view.state.doc.length;
  view.dispatch({ selection: { anchor: Math.min(at, most), head: Math.min(end, most) }, effects: EditorView.scrollIntoView(Math.min(at, most), { y: "center" }) });
  view.focus();
};

/** Return the parts of a diagnostic that stand below its message. */
export const about = (one, go) => [
  one.note && make("p", { class: "note" }, one.note),
  one.details.length > 0 && make("pre", {}, one.details.join("\n")),
  ...one.places.map(place => make("p", {},
    place.from !== undefined
      ? make("button", { class: "link", onclick: () => go(place.from, place.to) }, `line ${place.line}`)
      : make("span", {}, `${place.file}:${place.line}`),
    `: ${place.message}`, place.text ? make("code", {}, ` ${place.text}`) : "")),
  one.help && make("p", { class: "help" }, make("b", {}, "help: "), one.help),
];

const shownDiagnostics = (view, diagnostics) => {
  const most = view.state.doc.length;
  return diagnostics.filter(one => one.from !== undefined).map(one => ({
    from: Math.min(one.from, most),
    to: Math.min(Math.max(one.to, one.from), most),
    severity: one.severity,
    message: one.message,
    source: one.code,
    renderMessage: () => make("div", { class: "told" },
      make("p", {}, make("b", {}, one.message), " ", make("span", { class: "faint" }, one.code)), ...about(one, (at, end) => goTo(view, at, end))),
  }));
};

// ---------------------------------------------------------------- what can be written, and what a name is

const SORTS = { op: "function", function: "function", block: "class", net: "class", variant: "class", table: "type", keyword: "keyword", word: "keyword", argument: "property", label: "variable", parameter: "variable", value: "constant" };

const completing = ask => async context => {
  if (!context.explicit && !context.matchBefore(/[\w.]$/)) return null;
  const text = context.state.doc.toString();
  const found = await ask("completions", { text, at: context.pos });
  if (!found || context.aborted || !found.items.length) return null;
  return {
    from: found.from,
    options: found.items.map(item => {
      const option = { label: item.label, detail: undefined, info: item.detail || undefined, type: SORTS[item.kind] ?? "text", boost: -10 * item.rank };
      return item.snippet ? snippetCompletion(item.text.replaceAll(/\$(\d)/g, "${$1}").replaceAll(/\$\{\d:([^}]*)\}/g, "${$1}"), option) : { ...option, apply: item.text };
    }),
    validFor: /^\w*$/,
  };
};

/** Return a text in the little Markdown that netdsl writes: paragraphs, code, rules; nothing in it is HTML. */
const prose = text => text.split(/^```\w*\n([^]*?)^```$/m).flatMap((part, at) => at % 2
  ? [make("pre", { class: "called" }, part.trimEnd())]
  : part.split(/\n\n+/).map(one => one.trim()).filter(Boolean).map(one => one === "---" ? make("hr")
    : make("p", {}, one.replaceAll(/\\([\\`*_{}[\]<>#])/g, "$1").replaceAll("**", "").split(/`([^`]+)`/).map((piece, odd) => odd % 2 ? make("code", {}, piece) : piece))));

const hovering = (ask, go) => hoverTooltip(async (view, at) => {
  const found = await ask("told", { text: view.state.doc.toString(), at });
  if (!found) return null;
  const place = found.places.find(one => one.from !== undefined && one.from !== found.from);
  return {
    pos: found.from, end: found.to, above: true,
    create: () => ({
      dom: make("div", { class: "told hover" }, prose(found.text),
        place && make("p", {}, make("button", { class: "link", onclick: () => go(place.from, place.to) }, `line ${place.line}`), " names it")),
    }),
  };
});

/** Go to where the name at the cursor is named. */
const define = ask => view => {
  const text = view.state.doc.toString();
  ask("told", { text, at: view.state.selection.main.head }).then(found => {
    const place = found?.places.find(one => one.from !== undefined);
    if (place && view.state.doc.toString() === text) goTo(view, place.from, place.to);
  });
  return true;
};

// ---------------------------------------------------------------- the editor

/** What has put a new text in: the page itself, and not a person. */
export const replaced = Annotation.define();

const base = [
  lineNumbers(), highlightSpecialChars(), history(), drawSelection(), EditorState.allowMultipleSelections.of(true),
  bracketMatching(), closeBrackets(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches({ minSelectionLength: 2 }), search({ top: true }),
  indentUnit.of("    "), EditorState.tabSize.of(4), colours,
  EditorView.contentAttributes.of({ spellcheck: "false", autocapitalize: "off", translate: "no" }),
];
// Tab leaves the editor, so that the page works by keyboard; Ctrl-] and Ctrl-[ indent
const keys = keymap.of([...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap]);

/** Return an editor whose changes are told to `changed(text, byPerson)`. */
export const editor = (parent, { changed, ask, label = "spec", costs = true }) => {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      extensions: [
        costs ? [facts, column("params"), column("macs")] : [], base, keys, netdsl(),
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorView.updateListener.of(update => {
          if (update.docChanged) changed(view.state.doc.toString(), !update.transactions.some(one => one.annotation(replaced)));
        }),
        ask ? [
          autocompletion({ override: [completing(ask)], icons: true }), hovering(ask, (at, end) => goTo(view, at, end)),
          keymap.of([{ key: "F12", run: define(ask) }]),
        ] : [],
      ],
    }),
  });
  return {
    view,
    get text() {
      return view.state.doc.toString();
    },
    /** Put another text in, which can be undone. */
    replace(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 }, annotations: replaced.of(true), scrollIntoView: true });
    },
    edit(changes) {
      view.dispatch({ changes, userEvent: "input.fix", scrollIntoView: true });
    },
    /** Show an answer of the analysis, or only the lines of it. */
    show(answer, whole = true) {
      if (whole) view.dispatch(setDiagnostics(view.state, shownDiagnostics(view, answer.diagnostics)));
      if (costs) view.dispatch({ effects: setFacts.of(arranged(view.state, answer)) });
    },
    go: (at, end) => goTo(view, at, end),
    goLine(number) {
      const line = view.state.doc.line(Math.min(number, view.state.doc.lines));
      goTo(view, line.from, line.from);
    },
  };
};

/** Return a text that can be read and copied, in the colours of Python. */
export const reader = async (parent, label) => {
  const { python } = await import("./python.js");
  const view = new EditorView({
    parent,
    state: EditorState.create({
      extensions: [
        lineNumbers(), highlightSpecialChars(), drawSelection(), search({ top: true }), colours, python(), EditorState.readOnly.of(true),
        EditorView.contentAttributes.of({ "aria-label": label, translate: "no" }), keymap.of([...searchKeymap, ...defaultKeymap]),
      ],
    }),
  });
  return text => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 } });
};
