// A worker with netdsl in it: gets {id, request}, answers {id, answer, ms}. The page has two, so that typing waits for
// nothing but the analysis.
import { loadPyodide } from "pyodide";
import { resuming } from "./snapshot.js";

const here = name => new URL(name, self.location).href;

const fetched = async name => {
  const response = await fetch(here(name));
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
};

const options = () => ({ indexURL: here(FILES.runtime), lockFileContents: LOCK, packageBaseUrl: here(FILES.runtime), env: { ...ENV } });

/** Return Pyodide with the memory that was kept when the page was built. */
const resumed = async () => {
  const [{ default: create }, data, rest] = await Promise.all([
    import(here(`${FILES.runtime}pyodide.asm.mjs`)), fetched(FILES.snapshot), fetched(FILES.rest),
  ]);
  const python = await loadPyodide({ ...options(), stdLibURL: here(FILES.needed), ...resuming(create, data) });
  python.FS.writeFile("/netdsl.zip", rest);
  // what is cached of the files is of those that were there when the memory was kept
  python.runPython("import importlib; importlib.invalidate_caches()");
  return python;
};

/** Return Pyodide as it starts without that. */
const begun = async () => {
  const [python, whole] = await Promise.all([
    loadPyodide({ ...options(), stdLibURL: here(FILES.library) }), fetched(FILES.whole),
  ]);
  python.FS.writeFile("/netdsl.zip", whole);
  python.runPython("import sys; sys.path.insert(0, '/netdsl.zip')");
  return python;
};

const start = async () => {
  const from = performance.now();
  let python, why = "";
  try {
    if (new URL(self.location).searchParams.has("plain")) throw new Error("as asked");
    python = await resumed();
  } catch (error) {
    why = String(error.message ?? error);
    python = await begun();
  }
  const answer = python.pyimport("netdsl.ide.page").answer;
  self.postMessage({ ready: true, ms: performance.now() - from, why });
  return answer;
};

const started = start();
started.catch(error => self.postMessage({ failed: String(error.message ?? error) }));

self.onmessage = async ({ data: { id, request } }) => {
  const answer = await started;
  const from = performance.now();
  try {
    const said = answer(request);
    self.postMessage({ id, answer: said, ms: performance.now() - from });
  } catch (error) {
    // Python answers errors as values: what comes here has ended the interpreter, such as a stack that is too deep
    self.postMessage({ id, failed: String(error.message ?? error).split("\n").at(-1) });
  }
};
