// Runs the bundled extension of VS Code, with an editor that knows nothing but its settings: an array in JSON, the
// command of the server, is read from standard input. What the extension says to the user is written.

const { readFileSync } = require("node:fs");
const Module = require("node:module");

const command = JSON.parse(readFileSync(0, "utf8"));
const said = [];
const registered = [];

/** Something that can be called, made and extended, and has everything. */
const anything = () =>
  new Proxy(class {}, {
    get: (target, name) => (name === "prototype" || name in target ? target[name] : (target[name] = anything())),
    apply: () => undefined,
  });

const vscode = anything();
vscode.version = "1.100.0";
vscode.workspace = {
  workspaceFolders: [{ uri: { fsPath: __dirname } }],
  getConfiguration: () => ({ get: (name) => (name === "command" ? command : undefined) }),
  onDidChangeConfiguration: () => ({ dispose() {} }),
};
vscode.window = { showErrorMessage: async (...words) => void said.push(words) };
vscode.commands = { registerCommand: (name) => (registered.push(name), { dispose() {} }) };

const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));
const extension = require("../../editors/vscode/dist/extension.js");
extension
  .activate({ subscriptions: [] })
  .then(() => extension.deactivate())
  .then(() => process.stdout.write(JSON.stringify({ said, registered })));
