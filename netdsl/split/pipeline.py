"""The files of a net in parts: a spec and a module for each, the program that runs them, and a picture."""

from __future__ import annotations

from collections.abc import Mapping

from netdsl.backend import PipelineBackend, PipelineRun, emit, find
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.split.parts import Split
from netdsl.split.picture import draw


def files(split: Split, backend: str = "torch") -> Mapping[str, str]:
    """Return the texts by names of files.

    Raises:
        NetError: There is no such backend, it has no pipelines, or it cannot write a part.
    """
    chosen, options = find(backend), split.options
    if not isinstance(chosen, PipelineBackend):
        raise NetError(
            [Diagnostic("E506", f"the {chosen.name} backend writes no pipelines", help="torch does")]
        )
    if options.dtype == "int8":
        raise NetError([Diagnostic("E503", "a pipeline sends no int8 values", help="--dtype float32")])
    name = split.net.name
    learned = [[one.learned for one in part.received] for part in split.parts]
    learned[0] = [False] * len(split.net.inputs)
    run = PipelineRun(options.schedule, options.micro_batch, options.micro_batches, options.dtype)
    texts: dict[str, str] = {}
    nets = split.nets_that(lambda part: emit(part, backend))
    for part in nets:
        texts[f"{part.name}.py"] = emit(part, backend)
        texts[f"{part.name}.net"] = part.recipe.net.file.source.text
    texts[f"{name}_pipeline.py"] = chosen.pipeline(name, nets, learned, run)
    texts[f"{name}_pipeline.svg"] = str(draw(split))
    return texts
