// Finds the command of the language server.

const { accessSync, constants, statSync } = require("node:fs");
const path = require("node:path");

const INSTALL = 'pip install "netdsl[lsp]"';

/** Return the command with the folder of the workspace filled in. */
function filled(command, folder) {
  return command.map((part) => part.replaceAll("${workspaceFolder}", folder ?? ""));
}

/** Return the path of a program, or undefined if there is none. */
function find(program, environment = process.env, platform = process.platform) {
  const places = /[\\/]/.test(program) ? [""] : (environment.PATH ?? environment.Path ?? "").split(path.delimiter);
  const endings = platform === "win32" ? ["", ...(environment.PATHEXT ?? ".EXE;.CMD;.BAT").split(";")] : [""];
  return places
    .flatMap((place) => endings.map((ending) => path.join(place, program + ending)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

module.exports = { INSTALL, filled, find };
