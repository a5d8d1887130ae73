// The page: one spec, what it costs while it is written, and all that follows from it in tabs.
import { by, make, say } from "./dom.js";
import { about, editor } from "./editor.js";
import { Engine, Stopped } from "./engine.js";
import { fragment, MOST_LINK, MOST_TEXT, said as saidBy } from "./share.js";
import { VIEWS } from "./views.js";

const TABS = ["spec", ...Object.keys(VIEWS)];
const PAUSE = 250; // ms without a key before a tab is drawn anew
const SECONDS = +(new URLSearchParams(location.search).get("seconds") ?? 10) || 10; // that an analysis may take
const FIRST = { file: "resnet.net", net: "resnet50" };

// ---------------------------------------------------------------- what is kept

const KEY = "netdsl playground";
const read = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
};
const stored = { drafts: [], scheme: "auto", width: 50, ...read() };
const store = () => {
  try {
    localStorage.setItem(KEY, JSON.stringify(stored));
  } catch {
    // without room, or where nothing may be kept, the page works all the same
  }
};
let storing;
const storeSoon = () => {
  clearTimeout(storing);
  storing = setTimeout(store, 300);
};
addEventListener("pagehide", store);

/** Keep a text that is about to be replaced, if a person has written it. */
const keepDraft = () => {
  if (!stored.edited || !stored.text?.trim()) return;
  stored.drafts = [{ text: stored.text, net: stored.net, when: Date.now() }, ...stored.drafts.filter(one => one.text !== stored.text)].slice(0, 5);
  stored.edited = false;
  store();
  fillZoo();
};

// ---------------------------------------------------------------- zoo

const human = number => {
  for (const [scale, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "K"]])
    if (number >= scale) return `${+(number / scale).toFixed(1)}${unit}`;
  return `${number}`;
};

const packaged = async file => {
  const response = await fetch(`specs/${file}`);
  if (!response.ok) throw new Error(`specs/${file}: ${response.status}`);
  return await response.text();
};

/** Return a menu of all nets of the zoo. */
const zooMenu = (title, chosen, more = () => []) => {
  const select = make("select");
  const fill = () => {
    select.replaceChildren(make("option", { value: "" }, title), ...more(), ...Object.entries(ZOO).map(([file, nets]) =>
      make("optgroup", { label: file }, nets.map(({ name, params, macs }) => make("option", { value: `${file}:${name}` },
        params === null ? `${name}  (a search space)` : `${name}  ${human(params)} params, ${human(macs)} MACs`)))));
  };
  select.onchange = () => {
    const [file, name] = select.value.split(":");
    select.value = "";
    if (file) chosen(file, name);
  };
  select.fill = fill;
  fill();
  return select;
};

const zoo = zooMenu("a net ...", async (file, name) => {
  if (file === "draft") {
    const draft = stored.drafts[+name];
    open(draft.text, draft.net);
    stored.edited = true;
    return;
  }
  try {
    open(await packaged(file), name);
  } catch (error) {
    say(`the spec cannot be had: ${error.message}`);
  }
}, () => stored.drafts.length ? [make("optgroup", { label: "what you wrote before" }, stored.drafts.map((draft, at) =>
  make("option", { value: `draft:${at}` }, `${draft.net || "a spec"}, ${new Date(draft.when).toLocaleString()}`)))] : []);
zoo.id = "zoo";
by("zoo").replaceWith(zoo);
const fillZoo = () => zoo.fill();

// ---------------------------------------------------------------- netdsl

const started = performance.now();
const engineSaid = text => (by("engine").textContent = text);

const told = message => {
  if (message.ready) {
    const how = message.why ? `without the kept memory (${message.why})` : "from the kept memory";
    document.body.dataset.engine = message.why ? "plain" : "snapshot";
    engineSaid(`netdsl started ${how} in ${(message.ms / 1000).toFixed(1)} s`);
  } else if (message.failed) engineSaid(`netdsl cannot be started: ${message.failed}`);
  else engineSaid("starting netdsl again ...");
};
const first = new Engine(told);
let other; // begun when there is something to show
const second = () => (other ??= new Engine());

// ---------------------------------------------------------------- the spec

let tab = "table", analysed = null, shownFirst = false;

const changed = (text, byPerson) => {
  stored.text = text;
  if (byPerson) stored.edited = true;
  if (byPerson && location.hash) history.replaceState(null, "", location.pathname + location.search);
  storeSoon();
  document.body.dataset.state = "working";
  analyse();
};

/** Ask something about the text at the cursor; null where nothing is known, as while netdsl starts. */
const ask = async (what, request) => {
  try {
    const answer = await first.ask(what, request, { seconds: SECONDS });
    return answer.value ?? null;
  } catch {
    return null;
  }
};
const spec = editor(by("editor"), {
  changed, ask: (what, request) => ask(what, what === "told" ? { ...request, net: stored.net ?? "" } : request),
});

let further; // the time at which another net is looked at

/** Look at the spec; lines that the net does not reach are as `others` have them. */
const analyse = async (others = []) => {
  clearTimeout(further);
  const text = spec.text, net = stored.net ?? "";
  if (text.length > MOST_TEXT) return problem(`the text has more than ${MOST_TEXT.toLocaleString("en")} characters, which is too much for this page`);
  let answer;
  try {
    answer = await first.ask("analysis", { text, net, others }, { seconds: SECONDS });
  } catch (error) {
    if (spec.text !== text) return;
    return problem(error instanceof Stopped ? `${error.message}. The next change is looked at again.` : error.message);
  }
  if (answer.superseded || spec.text !== text || (stored.net ?? "") !== net) return;
  if (answer.errors) return problem(answer.errors[0].message, answer.errors);
  const value = answer.value;
  analysed = { text, ...value };
  spec.show(value, !others.length);
  // what other nets alone reach can wait: one of them at a time, so that typing waits for one at most
  if (value.further.length) further = setTimeout(analyse, PAUSE, [...others, value.further[0]]);
  document.body.dataset.reached = others.length;
  if (others.length) return;
  problems(value.diagnostics);
  totals(value, answer.ms);
  menu(value);
  document.body.dataset.state = value.diagnostics.some(one => one.severity === "error") ? "wrong" : "fine";
  if (!shownFirst) {
    shownFirst = true;
    performance.measure("first result", { start: 0 });
    document.body.dataset.first = Math.round(performance.now());
    setTimeout(keepForLater, 1500);
  }
  document.body.dataset.analysis = answer.ms.toFixed(1);
  refresh(PAUSE);
};

const problem = (message, diagnostics = []) => {
  analysed = null;
  spec.show({ lines: [], diagnostics });
  problems([{ severity: "error", message, code: "", note: "", help: "", details: [], places: [], ...diagnostics[0] }]);
  document.body.dataset.state = "wrong";
  by("totals").textContent = "";
};

const problems = diagnostics => {
  const list = by("problems");
  list.hidden = !diagnostics.length;
  list.replaceChildren(...diagnostics.map(one => make("li", { class: one.severity },
    make("p", {}, one.from !== undefined
      ? make("button", { class: "link", onclick: () => spec.go(one.from, one.to) }, `line ${one.line}`) : "",
    " ", make("b", {}, one.message), " ", make("span", { class: "faint" }, one.code)), ...about(one, spec.go))));
};

const totals = ({ totals: sums, budgets, diagnostics }, ms) => {
  const errors = diagnostics.filter(one => one.severity === "error").length;
  by("totals").replaceChildren(...[
    sums && make("span", { title: sums.exact }, sums.said),
    errors > 0 && make("span", { class: "error" }, `${errors} error${errors > 1 ? "s" : ""}`),
  ].filter(Boolean));
  by("budgets").replaceChildren(...budgets.map(({ said, holds, facts }) =>
    make("span", { class: `budget ${holds ? "held" : "broken"}`, title: `require ${said}` }, `${holds ? "✓" : "✗"} ${facts.join(", ") || said}`)));
  by("engine").title = `the last analysis took ${ms.toFixed(0)} ms`;
};

const menu = ({ nets, net }) => {
  const select = by("net");
  if (nets.length) {
    select.replaceChildren(...nets.map(name => make("option", { value: name }, name)));
    select.value = net;
  }
  select.disabled = nets.length < 2;
  document.title = net ? `${net}, netdsl playground` : "netdsl playground";
};

by("net").onchange = () => {
  stored.net = by("net").value;
  storeSoon();
  analyse();
};

/** Put another text in; what a person wrote is kept. */
const open = (text, net = "") => {
  keepDraft();
  stored.net = net;
  spec.replace(text);
  storeSoon();
};

// ---------------------------------------------------------------- tabs

const scheme = matchMedia("(prefers-color-scheme: dark)");
const dark = () => (stored.scheme === "auto" ? scheme.matches : stored.scheme === "dark");

const app = {
  refresh: pause => refresh(pause),
  text: () => spec.text,
  net: () => analysed?.net ?? "",
  go: (at, end) => {
    if (getComputedStyle(by("spec")).display === "none") choose("spec");
    spec.go(at, end);
  },
  edit: edits => spec.edit(edits),
  dark, zooMenu, packaged,
  changedBefore: text => {
    stored.before = text;
    storeSoon();
  },
};

const views = {};
const view = name => {
  if (!views[name]) {
    const root = make("div", { id: `view-${name}`, class: "view", role: "tabpanel", "aria-labelledby": `tab-${name}` });
    const said = make("p", { class: "stale-note", hidden: true });
    by("views").append(root);
    views[name] = { root, said, ...VIEWS[name](root, app) };
    root.prepend(said);
    views[name].ask = views[name].options;
    if (name === "diff" && stored.before) views[name].before.replace(stored.before);
  }
  return views[name];
};

let waiting;
const refresh = (pause = 0) => {
  clearTimeout(waiting);
  waiting = setTimeout(drawTab, pause);
};

const note = (one, text) => {
  one.said.hidden = !text;
  one.said.textContent = text;
  one.root.classList.toggle("stale", Boolean(text) && Boolean(one.key));
};

const drawTab = async () => {
  if (tab === "spec" || !shownFirst) return;
  const name = tab, one = view(name);
  if (!analysed || (!analysed.totals && analysed.diagnostics.some(each => each.severity === "error"))) {
    note(one, !analysed ? "" : one.key ? "of the spec as it was: it has errors now" : "the spec has errors");
    return;
  }
  if (one.ready && !one.ready()) return one.empty();
  const { text, net } = analysed, asked = { text, ...(one.file ? {} : { net }), ...one.options() }, key = JSON.stringify(asked);
  if (one.key === key) {
    document.body.dataset.drawn = name;
    return note(one, "");
  }
  const slow = setTimeout(() => note(one, one.key ? "of the spec as it was; being made anew ..." : "being made ..."), 400);
  let answer;
  try {
    answer = await (one.first ? first : second()).ask(one.what, asked, { key: name });
  } catch (error) {
    note(one, error.message);
    return;
  } finally {
    clearTimeout(slow);
  }
  if (answer.superseded) return;
  if (answer.errors) {
    note(one, [answer.errors[0].message, answer.errors[0].help].filter(Boolean).join("; help: "));
    return;
  }
  one.key = key;
  await one.draw(answer.value, text, net);
  note(one, "");
  if (one.first) second();
  document.body.dataset.drawn = name;
};

const choose = (name, focus = false) => {
  tab = name;
  document.body.dataset.tab = name;
  delete document.body.dataset.drawn;
  for (const button of by("tabs").children) {
    const chosen = button.id === `tab-${name}`;
    button.setAttribute("aria-selected", chosen);
    button.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) button.focus();
    if (chosen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (name !== "spec") view(name);
  for (const [each, { root }] of Object.entries(views)) root.hidden = each !== name;
  stored.tab = name;
  storeSoon();
  drawTab();
};

const visible = () => [...by("tabs").children].filter(button => button.offsetParent !== null);
by("tabs").onclick = event => {
  const name = event.target.id?.replace("tab-", "");
  if (TABS.includes(name)) choose(name);
};
by("tabs").onkeydown = event => {
  const shown = visible(), at = shown.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  choose(shown[(to + shown.length) % shown.length].id.replace("tab-", ""), true);
};

// ---------------------------------------------------------------- colours, widths, keys

const recolour = () => {
  document.documentElement.dataset.scheme = dark() ? "dark" : "light";
  by("scheme").textContent = { auto: "◐", dark: "☾", light: "☀" }[stored.scheme];
  by("scheme").title = `colours: ${stored.scheme === "auto" ? "as the system has them" : stored.scheme}`;
  by("scheme").setAttribute("aria-label", by("scheme").title);
  for (const one of Object.values(views)) one.recolour?.();
};
by("scheme").onclick = () => {
  stored.scheme = { auto: "light", light: "dark", dark: "auto" }[stored.scheme] ?? "auto";
  storeSoon();
  recolour();
};
scheme.addEventListener("change", recolour);

const widen = width => {
  stored.width = Math.min(80, Math.max(20, width));
  document.body.style.setProperty("--spec", `${stored.width}%`);
  by("divider").setAttribute("aria-valuenow", Math.round(stored.width));
  storeSoon();
};
by("divider").onkeydown = event => {
  const by = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
  if (by) widen(stored.width + by);
};
by("divider").onpointerdown = event => {
  event.preventDefault();
  event.target.setPointerCapture(event.pointerId);
  event.target.onpointermove = move => widen((100 * move.clientX) / innerWidth);
  event.target.onpointerup = () => (event.target.onpointermove = null);
};

const KEYS = [
  ["Ctrl+Space", "what can be written here"], ["F12", "go to where a name is named"], ["Ctrl+F", "look for something in the spec"], ["F8", "go to the next error"], ["Ctrl+Z, Ctrl+Y", "undo, redo"],
  ["Ctrl+]  Ctrl+[", "indent more, less"], ["Tab", "leave the editor"], ["Ctrl+/", "comment a line"],
  ["Shift+Alt+F", "format the spec"], ["Ctrl+Alt+L", "copy a link"], ["Alt+1 ... Alt+8", "spec and the tabs"],
];
const dialog = make("dialog", { "aria-labelledby": "keys-title" },
  make("h2", { id: "keys-title" }, "Keys"),
  make("table", {}, KEYS.map(([key, does]) => make("tr", {}, make("td", {}, make("kbd", {}, key)), make("td", {}, does)))),
  make("form", { method: "dialog" }, make("button", { onclick: event => {
    event.preventDefault();
    dialog.close();
  } }, "close")));
document.body.append(dialog);
by("keys").onclick = () => dialog.showModal();

const format = async () => {
  const text = spec.text;
  try {
    const answer = await first.ask("formatted", { text });
    if (answer.errors) return say(`it is not formatted: ${answer.errors[0].message}`);
    if (answer.superseded || spec.text !== text) return;
    if (answer.value === text) return say("it is in its canonical form");
    spec.edit({ from: 0, to: text.length, insert: answer.value });
  } catch (error) {
    say(error.message);
  }
};
by("format").onclick = format;

const share = async () => {
  const before = tab === "diff" ? stored.before : "";
  const hash = await fragment({ text: spec.text, net: app.net() || stored.net, tab, before });
  if (hash.length > MOST_LINK) return say("the spec is too long for a link; save it as a file");
  history.replaceState(null, "", hash);
  try {
    await navigator.clipboard.writeText(location.href);
    say("the link is copied, and in the address");
  } catch {
    say("the link is in the address");
  }
};
by("share").onclick = share;

addEventListener("keydown", event => {
  if (event.altKey && event.shiftKey && event.code === "KeyF") format();
  else if (event.altKey && event.ctrlKey && event.code === "KeyL") share();
  else if (event.altKey && !event.ctrlKey && /^Digit[1-8]$/.test(event.code)) {
    const name = TABS[+event.code.at(-1) - 1];
    if (name === "spec") app.go(spec.view.state.selection.main.head, spec.view.state.selection.main.head);
    else choose(name, true);
  } else return;
  event.preventDefault();
});

// ---------------------------------------------------------------- begin

/** Show what the address says; tell whether it says something. */
const follow = async () => {
  if (location.hash.length < 2) return false;
  try {
    const found = await saidBy(location.hash);
    if (found.before !== undefined) {
      stored.before = found.before;
      if (views.diff) views.diff.before.replace(found.before);
    }
    if (TABS.includes(found.tab)) choose(found.tab);
    if (found.zoo && found.text === undefined) found.text = await packaged(found.zoo);
    if (found.text === undefined) return false;
    open(found.text, found.net ?? "");
    return true;
  } catch (error) {
    say(error.message);
    problemAtStart = error.message;
    return false;
  }
};
let problemAtStart = "";
addEventListener("hashchange", follow);

const keepForLater = async () => {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("service.js");
    await navigator.serviceWorker.ready;
    document.body.dataset.kept = "";
  } catch {
    // such as on a page that is not served safely: then it needs its network
  }
};

recolour();
widen(stored.width);
const earlier = { text: stored.text, net: stored.net, edited: stored.edited };
choose(TABS.includes(stored.tab) && stored.tab !== "spec" ? stored.tab : "table");
if (!(await follow())) {
  if (earlier.text?.trim()) {
    stored.net = earlier.net;
    spec.replace(earlier.text);
    stored.edited = earlier.edited;
  } else {
    stored.net = FIRST.net;
    spec.replace(await packaged(FIRST.file));
  }
}
