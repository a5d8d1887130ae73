"""What front ends share whose calls are torch's: sizes, names, and the comparison of keys. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netdsl.elaborate.names import reserved_name
from netdsl.frontend import Check
from netdsl.ir.types import Dims
from netdsl.syntax.tokens import keywords
from netdsl_from_torch.layout import Unknown

if TYPE_CHECKING:
    from torch import Tensor


def pair_of(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a size for rows and one for columns."""
    if isinstance(size, int):
        return size, size
    values = [int(one) for one in size]
    if len(values) not in (1, 2):
        raise Unknown(f"a size of {len(values)} axes")
    return values[0], values[-1]


def size_of(size: int | Sequence[int]) -> Dims | int:
    """Return a size for both axes as an op takes it: an int where they are equal."""
    rows, columns = pair_of(size)
    return rows if rows == columns else Dims((rows, columns))


def dims_of(size: int | Sequence[int]) -> Dims:
    """Return a size for both axes."""
    return Dims(pair_of(size))


def stride_of(kernel: Any, stride: Any) -> Dims | int | None:
    """Return a pool's stride, None where it is the kernel's size."""
    if stride is None or stride == [] or pair_of(stride) == pair_of(kernel):
        return None
    return size_of(stride)


def label_of(name: str) -> str:
    """Return a name that a value of a spec may have."""
    plain = re.sub(r"\W", "_", name)
    return f"{plain}_" if plain in keywords() or reserved_name(plain) else plain


def net_name(name: str) -> str:
    """Return a name as a net may have it, "" where that is a word of the language."""
    plain = re.sub(r"\W", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower().strip("_")
    plain = plain if plain[:1].isalpha() or not plain else f"net_{plain}"
    return "" if plain in keywords() or reserved_name(plain) else plain


def same_keys(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Check:
    """Compare keys, shapes and order."""
    what = "keys of the state"
    if list(ours) == list(theirs):
        wrong = [key for key in ours if ours[key].shape != theirs[key].shape]
        said = f"{len(ours)} of {len(theirs)}, in order"
        if wrong:
            sizes = f"{list(ours[wrong[0]].shape)} here, {list(theirs[wrong[0]].shape)} there"
            said = f"`{wrong[0]}` is {sizes}"
        return Check(what, said, not wrong)
    missing, unknown = [key for key in theirs if key not in ours], [key for key in ours if key not in theirs]
    if missing or unknown:
        lacks = f"it lacks `{missing[0]}` and {len(missing) - 1} more" if missing else ""
        more = f"it has `{unknown[0]}` and {len(unknown) - 1} more" if unknown else ""
        return Check(what, ", ".join(filter(None, (lacks, more))), False)
    at = next(index for index, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
    return Check(what, f"another order: first `{list(ours)[at]}` here, `{list(theirs)[at]}` there", False)
