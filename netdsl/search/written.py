"""The net that was found as a spec of its own: a variant that decides, proved to be that net."""

from __future__ import annotations

import os
from pathlib import Path

from netdsl import api, data
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.values import FileScope, show
from netdsl.network import Network
from netdsl.search.nets import Answers, Nets
from netdsl.space.write import appended, decided, imported


def written(nets: Nets, answers: Answers, output: Path) -> tuple[str, Network]:
    """Return a spec whose variant is a net of the space, and the net that it makes.

    The variant imports the space's file if that lies in the same folder, or is packaged; else its text comes first.

    Args:
        nets: The space.
        answers: What the net decides.
        output: Where the spec is to stand; its name is the variant's, if it can be one.

    Raises:
        NetError: The language has no way to write it, or another net came of it.
    """
    promised = nets.network(answers)
    decl = nets.recipe.net
    file = decl.file
    texts = nets.texts(answers)
    given = {
        name: show(promised.elaborated.params[name])
        for name in sorted(promised.elaborated.given)
        if name not in texts and name in promised.elaborated.params
    }
    stem = output.name.removesuffix(".net")
    taken = {*file.nets, *file.variants, decl.name.lower()}
    name = (
        stem if stem.isidentifier() and stem.islower() and stem not in taken else f"{decl.name.lower()}_found"
    )
    try:
        variant = decided(decl.name, name, texts, given)
        beside = _beside(file, output)
        text = imported(beside, decl.name, variant) if beside else appended(file.source.text, variant)
        made = Network(api.recipe(api.reread(output, text), name, {}, {}, nets.recipe.max_nodes))
    except (ValueError, NetError) as error:
        raise _cannot(output, str(error).partition("\n")[0]) from None
    layers = [[(node.name, repr(node.op), node.inputs) for node in net.graph] for net in (made, promised)]
    if layers[0] != layers[1] or made.cost() != promised.cost():
        raise _cannot(output, "it would be another net: give --input and --set in the spec")
    return text, made


def _cannot(output: Path, why: str) -> NetError:
    return NetError([Diagnostic("E510", f"cannot write the net to {output}: {why}")])


def _beside(file: FileScope, output: Path) -> str:
    """Return what a file is called in an import from another; "" if it is to be found from there by no name."""
    source = file.source
    if source.path is None:
        return source.name if source.name in data.names("specs", ".net") else ""
    same = os.path.realpath(source.path.parent) == os.path.realpath(output.parent)
    return source.path.name if same else ""
