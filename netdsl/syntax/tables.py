"""The LALR tables of grammar/net.lark, as a data file.

Building them takes longer than everything else that `netdsl` does, so they are built when the grammar changes
(`python -m netdsl.syntax.tables`) and shipped as JSON beside the grammar. They are data: nothing is unpickled.
"""

from __future__ import annotations

import json
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from netdsl import data

GRAMMAR, TABLES = "net.lark", "net.tables.json"


def build(grammar: str, strict: bool = False) -> dict[str, Any]:
    """Return the tables of a grammar, ready for JSON. `strict` refuses every conflict, and needs `interegular`."""
    lark = Lark(
        grammar,
        parser="lalr",
        start=["start", "expr"],
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
        strict=strict,
    )
    tables, memo = lark.memo_serialize([TerminalDef, Rule])
    tables["options"] = {k: v for k, v in tables["options"].items() if k != "strict"}
    # JSON has no integer keys
    parser = tables["parser"]["parser"]
    parser["tokens"] = list(parser["tokens"].items())
    parser["states"] = [[state, list(actions.items())] for state, actions in parser["states"].items()]
    return {"tables": tables, "memo": list(memo.items())}


def load(transformer: object) -> Lark:
    """Return the parser, calling the transformer's methods for the rules of the grammar."""
    stored = json.loads(data.read("grammar", TABLES))
    tables = stored["tables"]
    parser = tables["parser"]["parser"]
    parser["tokens"] = dict(parser["tokens"])
    parser["states"] = {state: {token: tuple(a) for token, a in actions} for state, actions in parser["states"]}
    lark: Lark = Lark._load_from_dict(tables, dict(stored["memo"]), transformer=transformer)
    return lark


if __name__ == "__main__":
    text = json.dumps(build(data.read("grammar", GRAMMAR)), separators=(",", ":"))
    (data.folder("grammar") / TABLES).write_text(text + "\n", encoding="utf-8")
