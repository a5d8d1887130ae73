// Builds dist/, a folder of static files: the page, Pyodide, netdsl, and the memory that both start from.
//
//     node build.mjs [--python PYTHON] [--fast] [--page]
//
// PYTHON is one that has pip and netdsl; --fast compresses less, for tests; --page makes only the page anew, with
// Python's part as it was made the last time.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "esbuild";
import { loadPyodide } from "pyodide";
import { reduced, watching } from "./src/snapshot.js";

const here = dirname(fileURLToPath(import.meta.url)), root = dirname(here), dist = join(here, "dist");
const pyodide = join(here, "node_modules/pyodide");
const { values: options } = parseArgs({
  options: { python: { type: "string" }, fast: { type: "boolean" }, page: { type: "boolean" } },
});
const python = resolve(options.python ?? join(root, ".venv/bin/python"));
const run = promisify(execFile);

const COMPRESSED = /\.(html|js|mjs|css|json|wasm|zip|bin|net|svg|webmanifest)$/;
// bytecode without columns is a third smaller; tracebacks have lines all the same
const env = { PYTHONNODEBUGRANGES: "1" };

const sum = data => createHash("sha256").update(data).digest("hex").slice(0, 10);
const started = performance.now();
const say = text => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`);

/** Write a file under a name with the hash of what is in it, and return that name. */
const put = async (name, data) => {
  const at = name.lastIndexOf("."), named = `${name.slice(0, at)}-${sum(data)}${name.slice(at)}`;
  await writeFile(join(dist, named), data);
  return named;
};

/** Return the bytes of netdsl's wheel, built by pip. */
const wheel = async () => {
  const folder = await mkdtemp(join(tmpdir(), "netdsl-wheel-"));
  try {
    const args = ["-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps", "-w", folder, root];
    await run(python, args, { cwd: root });
    const [name] = await readdir(folder);
    return await readFile(join(folder, name));
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** Return the nets of the zoo, by file, with what each costs. */
const zoo = async () => {
  const { stdout } = await run(python, ["-m", "netdsl", "zoo", "--format", "json"], {
    cwd: root, maxBuffer: 1 << 26, env: { ...process.env, PYTHONPATH: [root, join(root, "backends")].join(":") },
  });
  const files = {};
  for (const { name, spec, params, macs } of JSON.parse(stdout).nets) (files[spec] ??= []).push({ name, params, macs });
  return files;
};

/** Return netdsl as a zip file of bytecode, and what of it and of the library is not in the snapshot, with that. */
const pack = async data => {
  const packing = await readFile(join(here, "src/pack.py"), "utf8");
  const first = await loadPyodide({ env });
  first.FS.writeFile("/netdsl.whl", data);
  first.runPython(`${packing}
ours, library = compiled("/netdsl.whl"), compiled(STDLIB)
write("/netdsl.zip", ours)
write("/library.zip", library)`);
  const [whole, library] = ["/netdsl.zip", "/library.zip"].map(name => first.FS.readFile(name));

  const create = (await import(join(pyodide, "pyodide.asm.mjs"))).default;
  let base;
  // without a source to compile, less is left in memory that nobody needs
  const file = join(tmpdir(), `netdsl-library-${process.pid}.zip`);
  await writeFile(file, library);
  const second = await loadPyodide({
    env, _makeSnapshot: true, stdLibURL: file, createPyodideModule: watching(create, memory => (base = memory.slice())),
  });
  await rm(file);
  second.FS.writeFile("/netdsl.zip", whole);
  second.runPython(await readFile(join(here, "src/warm.py"), "utf8"));
  // the script of reports: all that may run of what a page is given
  const script = second.runPython("from netdsl.picture.page import SCRIPT; SCRIPT");
  const loaded = second.runPython("import sys, json; json.dumps(sorted(sys.modules))");
  const snapshot = reduced(second.makeMemorySnapshot(), base);

  first.globals.set("loaded", loaded);
  first.runPython(`
import json
loaded = {*json.loads(loaded)}
needed = reachable([data for name, data in ours.items() if name.endswith(".pyc")], library)
write("/rest.zip", rest(ours, loaded))
write("/needed.zip", rest(needed, loaded))`);
  const [rest, needed] = ["/rest.zip", "/needed.zip"].map(name => first.FS.readFile(name));
  return { whole, library, snapshot, rest, needed, script };
};

const compress = async name => {
  const data = await readFile(join(dist, name));
  const large = data.length > 4 << 20;
  const quality = options.fast ? 4 : large ? 10 : 11;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: quality,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  };
  const forms = await Promise.all([
    promisify(brotliCompress)(data, { params }), promisify(gzip)(data, { level: options.fast ? 1 : 9 }),
  ]);
  for (const [at, suffix] of [".br", ".gz"].entries())
    if (forms[at].length < data.length) await writeFile(join(dist, name + suffix), forms[at]);
  return Math.min(data.length, forms[0].length);
};

await rm(dist, { recursive: true, force: true });
await mkdir(join(dist, "specs"), { recursive: true });
const cache = join(here, "node_modules/.cache/netdsl");
if (!options.page) {
  const nets = zoo(), parts = await pack(await wheel());
  await mkdir(cache, { recursive: true });
  for (const [name, part] of Object.entries({ ...parts, nets: JSON.stringify(await nets) })) await writeFile(join(cache, name), part);
}
const parts = {};
for (const name of ["whole", "library", "snapshot", "rest", "needed"]) parts[name] = await readFile(join(cache, name));
for (const name of ["script", "nets"]) parts[name] = await readFile(join(cache, name), "utf8");
say("netdsl packed, snapshot made");
const { version } = JSON.parse(await readFile(join(pyodide, "package.json"), "utf8"));
const runtime = `pyodide-${version}`;
await mkdir(join(dist, runtime));
for (const name of ["pyodide.asm.mjs", "pyodide.asm.wasm"])
  await cp(join(pyodide, name), join(dist, runtime, name));
for (const name of await readdir(join(root, "specs")))
  if (name.endsWith(".net")) await cp(join(root, "specs", name), join(dist, "specs", name));

const files = {
  runtime: `${runtime}/`,
  whole: await put("netdsl.zip", parts.whole),
  snapshot: await put("memory.bin", parts.snapshot),
  rest: await put("rest.zip", parts.rest),
  needed: await put("needed.zip", parts.needed),
  library: await put("library.zip", parts.library),
};
const { info } = JSON.parse(await readFile(join(pyodide, "pyodide-lock.json"), "utf8"));
const common = { bundle: true, format: "esm", minify: true, target: "es2022", outdir: dist, legalComments: "none", logLevel: "warning" };
await build({
  ...common,
  entryPoints: { worker: join(here, "src/worker.js") },
  entryNames: "[name]-[hash]",
  external: ["node:*", "ws"],
  define: { FILES: JSON.stringify(files), LOCK: JSON.stringify({ info, packages: {} }), ENV: JSON.stringify(env) },
});
const worker = (await readdir(dist)).find(name => name.startsWith("worker-"));
await build({
  ...common,
  splitting: true,
  entryPoints: { app: join(here, "src/app.js"), style: join(here, "src/style.css") },
  entryNames: "[name]-[hash]",
  chunkNames: "part-[hash]",
  define: { WORKER: JSON.stringify(worker), ZOO: parts.nets },
});
const made = await readdir(dist);
const page = (await readFile(join(here, "src/index.html"), "utf8"))
  .replace("REPORTS", `'sha256-${createHash("sha256").update(parts.script).digest("base64")}'`)
  .replace("app.js", made.find(name => /^app-.*\.js$/.test(name)))
  .replace("style.css", made.find(name => /^style-.*\.css$/.test(name)));
await writeFile(join(dist, "index.html"), page);
await cp(join(here, "src/icon.svg"), join(dist, "icon.svg"));

// what a page needs that starts from the snapshot is kept for when there is no network; the rest if it was asked for
const all = (await readdir(dist, { recursive: true, withFileTypes: true }))
  .filter(one => one.isFile())
  .map(one => join(one.parentPath ?? one.path, one.name).slice(dist.length + 1))
  .sort();
const spare = new Set([files.whole, files.library]);
const kept = all.filter(name => !spare.has(name) && name !== "index.html");
const hash = sum((await Promise.all(all.map(name => readFile(join(dist, name))))).map(sum).join(" "));
await build({
  ...common,
  format: "iife",
  entryPoints: { service: join(here, "src/service.js") },
  define: { KEPT: JSON.stringify(["./", ...kept]), VERSION: JSON.stringify(hash) },
});
say("bundled");
let [total, most] = [0, 0];
for (const name of [...all, "service.js"].filter(name => COMPRESSED.test(name))) {
  const size = await compress(name);
  most += size;
  if (!spare.has(name)) total += size;
  if (size > 50_000) say(`${(size / 1e6).toFixed(2).padStart(6)} MB  ${name}${spare.has(name) ? "  (only without the snapshot)" : ""}`);
}
say(`${(total / 1e6).toFixed(2).padStart(6)} MB  are sent for a page with all it keeps`);
