"""The packaged nets, each loaded once for all tests."""

from functools import cache

import netdsl
from netdsl import api

SPACES = {"supernet"}
"""Search spaces: nothing can be said about them before they are decided."""
FILES = {name: file for name, file in api.zoo_names().items() if name not in SPACES}
NAMES = list(FILES)


@cache
def net(name: str) -> netdsl.Network:
    """Return a net of the zoo."""
    return netdsl.load(f"{FILES[name]}:{name}")
