"""The packaged nets, each loaded once for all tests."""

from functools import cache

import netdsl
from netdsl import api

SPACES = {"supernet", "digitssearch"}
"""Search spaces: nothing can be said about them before they are decided."""
SPACE_FILES = {"search.net", "digits_search.net"}
"""The files that they are in."""
FILES = {name: file for name, file in api.zoo_names().items() if name not in SPACES}
NAMES = list(FILES)


@cache
def net(name: str) -> netdsl.Network:
    """Return a net of the zoo."""
    return netdsl.load(f"{FILES[name]}:{name}")
