"""A net as the parts of a pipeline: where it is cut, what each part takes, and each part as a net of its own."""

from netdsl.split.parts import Options, Part, Split, micro_batches_of, split

__all__ = ["Options", "Part", "Split", "micro_batches_of", "split"]
