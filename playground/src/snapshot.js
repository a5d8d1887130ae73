// Memory snapshots of Pyodide: the interpreter's memory after all imports, so that a page need not do them again.
// Pyodide's own are whole memories. Much of that is what the WebAssembly file puts there anyway, so here only those
// blocks are kept that differ from it. `_makeSnapshot` and `_loadSnapshot` are private to Pyodide and bound to its very
// build: its version is pinned, and the page starts without where this fails.

const BLOCK = 256;
const HEAD = 12; // magic, offset of the memory, length of the JSON: the words that we read of Pyodide's own header

/** Wrap the function that makes Pyodide's module: `seen` gets a copy of what the file puts into memory. */
export const watching = (create, seen) => settings => {
  const instantiate = settings.instantiateWasm;
  settings.instantiateWasm = (imports, done) => instantiate(imports, (instance, module) => {
    const memory = Object.values(instance.exports).find(one => one instanceof WebAssembly.Memory);
    seen(new Uint8Array(memory.buffer));
    return done(instance, module);
  });
  return create(settings);
};

const bytes = array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** Return a snapshot of Pyodide without what is in `base`, the memory that a module starts with. */
export const reduced = (snapshot, base) => {
  const offset = new Uint32Array(snapshot.slice(0, HEAD).buffer)[1];
  const memory = snapshot.subarray(offset), end = base.findLastIndex(byte => byte !== 0) + 1;
  const same = at => {
    for (let one = at; one < at + BLOCK; one++) if (memory[one] !== (one < end ? base[one] : 0)) return false;
    return true;
  };
  const runs = [], parts = [];
  for (let at = 0; at < memory.length; at += BLOCK) {
    if (same(at)) continue;
    const start = at;
    while (at < memory.length && !same(at)) at += BLOCK;
    runs.push(start, at - start);
    parts.push(memory.subarray(start, at));
  }
  const head = Uint32Array.of(offset, memory.length, end, runs.length);
  const pieces = [bytes(head), bytes(Uint32Array.from(runs)), snapshot.subarray(0, offset), ...parts];
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
};

/** Return the options of `loadPyodide` that start from what `reduced` has made. */
export const resuming = (create, data) => {
  const [offset, size, end, count] = new Uint32Array(data.buffer, 0, 4);
  const runs = new Uint32Array(data.buffer, 16, count);
  const start = 16 + 4 * count;
  const head = data.slice(start, start + offset);
  let base;
  return {
    _loadSnapshot: head,
    createPyodideModule: async settings => {
      const module = await watching(create, memory => (base = memory.slice(0, end)))(settings);
      const restore = module.API.restoreSnapshot;
      module.API.restoreSnapshot = () => {
        const config = restore(head);
        // memory grows where there is no room; what is allocated in it is overwritten, as is who has allocated what
        while (module.HEAPU8.length < size)
          if (!module._malloc(Math.max(1 << 16, size - module.HEAPU8.length))) throw new Error("there is no memory left");
        const memory = module.HEAPU8;
        memory.set(base);
        memory.fill(0, end);
        let at = start + offset;
        for (let run = 0; run < count; run += 2) {
          memory.set(data.subarray(at, at + runs[run + 1]), runs[run]);
          at += runs[run + 1];
        }
        return config;
      };
      return module;
    },
  };
};
