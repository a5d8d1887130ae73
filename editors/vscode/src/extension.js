// The client of `netdsl lsp`: it starts the server, and says what is missing. What the server offers, such as the
// command `netdsl.showNet` of its lenses, the library registers and passes on.

const { commands, env, window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { INSTALL, filled, find } = require("./command");

let client;

/** Start the server, or say how to install it. */
async function start() {
  const folder = workspace.workspaceFolders?.[0]?.uri.fsPath;
  const [program, ...args] = filled(workspace.getConfiguration("netdsl").get("command"), folder);
  const found = program && find(program);
  if (!found) {
    missing(`netdsl: the command \`${program ?? ""}\` is not found. To install it: ${INSTALL}`);
    return;
  }
  client = new LanguageClient(
    "netdsl",
    "netdsl",
    { command: found, args, options: { cwd: folder, shell: /\.(?:cmd|bat)$/i.test(found) } },
    {
      documentSelector: [
        { scheme: "file", language: "netdsl" },
        { scheme: "untitled", language: "netdsl" },
      ],
      synchronize: { configurationSection: "netdsl" },
    },
  );
  try {
    await client.start();
  } catch (error) {
    client.outputChannel.show(true);
    missing(`netdsl: ${[program, ...args].join(" ")} does not start. It needs: ${INSTALL}`);
  }
}

/** Say what is missing, and offer to do something about it. */
async function missing(message) {
  const copy = "Copy the command";
  const settings = "Settings";
  const chosen = await window.showErrorMessage(message, copy, settings);
  if (chosen === copy) await env.clipboard.writeText(INSTALL);
  if (chosen === settings) await commands.executeCommand("workbench.action.openSettings", "netdsl.command");
}

async function stop() {
  const running = client;
  client = undefined;
  // one that never ran cannot be stopped
  await running?.stop().catch(() => undefined);
}

async function restart() {
  await stop();
  await start();
}

exports.activate = async (context) => {
  context.subscriptions.push(
    commands.registerCommand("netdsl.restart", restart),
    workspace.onDidChangeConfiguration((event) => event.affectsConfiguration("netdsl.command") && restart()),
  );
  await start();
};

exports.deactivate = stop;
