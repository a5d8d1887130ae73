// What the tabs show. Each view asks one thing of netdsl, and draws the answer.
import { about, editor, reader } from "./editor.js";
import { by, download, make, say } from "./dom.js";

const bar = (...parts) => make("div", { class: "tools" }, ...parts);

const choice = (label, options, changed) => {
  const select = make("select", { onchange: () => changed(select.value) },
    options.map(([value, text]) => make("option", { value }, text)));
  return [make("label", {}, `${label} `, select), select];
};

const copy = async text => {
  try {
    await navigator.clipboard.writeText(text);
    say("copied");
  } catch {
    say("the browser does not allow to copy: mark the text, and copy it by hand");
  }
};

// ---------------------------------------------------------------- table

const cell = (one, column) => {
  if (!one) return make("td", {});
  const box = make("td", { title: one.exact !== one.said ? one.exact : undefined }, one.said === "0" ? "" : one.said);
  if (column.share) box.style.setProperty("--part", `${(100 * (one.share ?? 0)).toFixed(1)}%`);
  if (column.share) box.className = "share";
  return box;
};

const table = (root, app) => {
  const asked = { by: "", batch: 1, train: false };
  const set = (name, value) => {
    asked[name] = value;
    app.refresh();
  };
  const [rows] = choice("rows", [["", "what reads best"], ["layer", "layers"], ["block", "blocks"], ["stage", "stages"], ["op", "ops"]], value => set("by", value));
  const batch = make("input", { type: "number", min: "1", max: "65536", value: "1", onchange: () => {
    const number = Math.min(65536, Math.max(1, Math.round(+batch.value) || 1));
    batch.value = number;
    set("batch", number);
  } });
  const train = make("input", { type: "checkbox", onchange: () => set("train", train.checked) });
  const box = make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "costs" });
  root.append(bar(rows, make("label", {}, "batch ", batch), make("label", {}, train, " training")), box);
  return {
    what: "table", first: true, options: () => asked,
    draw(said) {
      const columns = said.columns, texts = [said.by, "", said.by === "op" ? null : "output"];
      const head = make("tr", {}, make("th", { class: "text" }, said.by), make("th", { class: "text" }),
        said.by !== "op" && make("th", { class: "text" }, "output"), columns.map(one => make("th", {}, one.title)));
      const body = said.rows.map(row => make("tr", {},
        make("th", { class: "text", scope: "row" }, row.name, row.count > 1 && make("span", { class: "times" }, ` ×${row.count}`)),
        make("td", { class: "text faint" }, row.what),
        texts[2] && make("td", { class: "text" }, row.output),
        row.cells.map((one, at) => cell(one, columns[at]))));
      const total = make("tr", {}, make("th", { class: "text", scope: "row" }, "total"), make("td"), texts[2] && make("td"),
        said.total.map((one, at) => cell(one, { ...columns[at], share: false })));
      box.replaceChildren(
        make("table", { class: "costs" }, make("caption", {}, said.caption), make("thead", {}, head), make("tbody", {}, body), make("tfoot", {}, total)),
        ...said.notes.map(note => make("p", { class: "faint" }, note.replace(/^xN: /, "×N: "))));
    },
  };
};

// ---------------------------------------------------------------- emitted code

const code = (backend, label) => (root, app) => {
  const options = make("span", { class: "options" }), box = make("div", { class: "code" });
  let shown = { name: "", text: "" }, show;
  root.append(bar(options,
    make("span", { class: "spring" }),
    make("button", { onclick: () => copy(shown.text) }, "copy"),
    make("button", { onclick: () => download(shown.name, shown.text, "text/x-python") }, "download")), box);
  const chosen = new Set();
  return {
    what: "emitted", options: () => ({ backend: chosen.size ? `${backend}:${[...chosen].join(",")}` : backend }),
    async draw(said) {
      shown = said;
      if (!options.childElementCount)
        options.append(...Object.entries(said.options).map(([name, about]) => {
          const input = make("input", { type: "checkbox", onchange: () => {
            if (input.checked) chosen.add(name);
            else chosen.delete(name);
            app.refresh();
          } });
          return make("label", { title: about }, input, ` ${name}`);
        }));
      show ??= await reader(box, label);
      show(said.text);
    },
  };
};

// ---------------------------------------------------------------- lint

const lint = (root, app) => {
  const list = make("ol", { class: "findings" });
  const box = make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "findings" }, list);
  root.append(box);
  const fix = (one, text) => one.fix && make("button", {
    title: one.fix.safe ? "the function and all weights stay the same" : "the function may change, or checkpoints no longer load",
    onclick: () => {
      if (app.text() !== text) return say("the text has changed meanwhile; the findings are looked for anew");
      app.edit(one.fix.edits);
      say("mended; Ctrl+Z takes it back");
    },
  }, one.fix.safe ? "fix" : "fix, unsafe");
  return {
    what: "lint", file: true, options: () => ({}),
    draw(said, text) {
      list.replaceChildren(...said.map(one => make("li", { class: one.severity },
        make("p", {}, make("b", { class: "severity" }, one.severity), ` ${one.code} `,
          one.line !== undefined && make("button", { class: "link", onclick: () => app.go(one.from, one.to) }, `line ${one.line}`), " ", fix(one, text)),
        make("p", {}, one.message), ...about(one, app.go))));
      if (!said.length) list.append(make("li", {}, make("p", {}, "nothing found")));
    },
  };
};

// ---------------------------------------------------------------- graph and report

const DRAWN = new Set("svg title style g a rect circle line path polyline polygon text tspan".split(" "));

/** Return a picture as elements; what is no drawing is left out, though netdsl writes none. */
const picture = (svg, dark) => {
  const text = svg.replaceAll("(prefers-color-scheme: dark)", dark ? "all" : "not all");
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  for (const element of [...root.querySelectorAll("*")]) {
    const strange = [...element.attributes].some(({ name, value }) => /^on/i.test(name) || (/href$/i.test(name) && !value.startsWith("#")));
    if (!DRAWN.has(element.localName) || strange) element.remove();
  }
  return document.importNode(root, true);
};

const graph = (root, app) => {
  const box = make("div", { class: "wide picture", tabindex: "0", role: "region", "aria-label": "graph" });
  const fit = make("input", { type: "checkbox", onchange: () => box.classList.toggle("fit", fit.checked) });
  let svg = "", name = "";
  root.append(bar(make("label", {}, fit, " fit to width"), make("span", { class: "spring" }),
    make("button", { onclick: () => download(`${name}.svg`, svg, "image/svg+xml") }, "download")), box);
  const draw = () => svg && box.replaceChildren(picture(svg, app.dark()));
  return {
    what: "graph", options: () => ({}), recolour: draw,
    draw(said, _, net) {
      [svg, name] = [said.svg, net];
      draw();
    },
  };
};

const report = (root, app) => {
  const box = make("div", { class: "frame" });
  let html = "", name = "";
  root.append(bar(make("span", { class: "faint" }, "the page of netdsl report, for others to read"), make("span", { class: "spring" }),
    make("button", { onclick: () => download(`${name}.html`, html, "text/html") }, "download")), box);
  const draw = () => {
    if (!html) return;
    // an origin of its own, and only the script that netdsl's reports have (the page's policy has its hash)
    const frame = make("iframe", { sandbox: "allow-scripts", title: "report", class: app.dark() ? "dark" : "light" });
    frame.srcdoc = html.replaceAll("(prefers-color-scheme: dark)", app.dark() ? "all" : "not all");
    box.replaceChildren(frame);
  };
  return {
    what: "report", options: () => ({}), recolour: draw,
    draw(said, _, net) {
      [html, name] = [said.html, net];
      draw();
    },
  };
};

// ---------------------------------------------------------------- two specs

const difference = (root, app) => {
  const net = make("select", { disabled: true, onchange: () => app.refresh() });
  const zoo = app.zooMenu("a net of the zoo ...", async (file, name) => {
    was.replace(await app.packaged(file));
    net.dataset.asked = name;
    app.refresh();
  });
  const keep = make("button", { onclick: () => {
    was.replace(app.text());
    net.dataset.asked = app.net();
  } }, "take the spec as it is now");
  const box = make("div", { class: "before" });
  const problems = make("p", { class: "error", hidden: true });
  const result = make("pre", { class: "difference", tabindex: "0", role: "region", "aria-label": "difference" });
  const details = make("details", { class: "first" }, make("summary", {}, "the spec before"), box);
  root.append(bar(make("label", {}, "before ", zoo), keep, make("label", {}, "net ", net)), details, problems, result);
  const was = editor(box, { label: "the spec before", costs: false, changed: () => {
    app.changedBefore(was.text);
    app.refresh(300);
  } });
  return {
    what: "difference",
    before: was,
    ready: () => was.text.trim() !== "",
    empty: () => {
      details.open = true;
      result.replaceChildren(make("span", { class: "faint" }, "Choose what the spec is compared with: a net of the zoo, the spec as it is now, or one that you write above."));
    },
    options: () => ({ before: was.text, was: net.dataset.asked || net.value }),
    draw(said) {
      was.show({ diagnostics: said.errors ?? [] });
      problems.hidden = !said.errors;
      problems.textContent = said.errors ? `the spec before: ${said.errors[0].message}` : "";
      result.classList.toggle("stale", said.errors !== undefined);
      if (said.errors) return;
      net.replaceChildren(...said.nets.map(name => make("option", { value: name, selected: name === said.was }, name)));
      net.disabled = false;
      delete net.dataset.asked;
      const kinds = { "+": "added", "-": "removed", "~": "changed" };
      result.replaceChildren(...said.text.split("\n").map(line => make("span", { class: kinds[line[0]] && line[1] === " " ? kinds[line[0]] : "" }, `${line}\n`)));
    },
  };
};

export const VIEWS = {
  table, torch: code("torch", "PyTorch module"), flax: code("flax", "Flax module"), lint, graph, report, diff: difference,
};
