"""Verification with the numbers at the size of input that was asked for.

`verification.verify` compares numbers at a small input where one suits, whatever the net's own is. Its text is a
part of what proofs are remembered by, so that what asks for another size stands here.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdsl.network import Network
from netdsl.verification import (
    Experiment,
    Progress,
    Row,
    Verification,
    _exact,
    _numbers,
    _sample,
    _steps,
    check_facts,
)
from netdsl.weights.layout import need


def verify(net: Network, backends: Sequence[str], seed: int, progress: Progress) -> Verification:
    """Do what `verification.verify` does, and compare the numbers, too, at the net's own input.

    Raises:
        NetError: A backend cannot be verified, cannot write the net, or is not installed.
    """
    chosen = _exact(backends)
    need("numpy", "verifying a net")
    texts = {name: backend.emit(net) for name, backend in chosen.items()}
    steps = _steps(progress, 3 * len(chosen) + 1)
    columns = {}
    for name, backend in chosen.items():
        steps(f"{name}: counts and shapes")
        columns[name] = check_facts(net, backend, texts[name])
    checks = {check: None for cells in columns.values() for check in cells}
    rows = [
        Row(check, "count", {name: cells[check] for name, cells in columns.items() if check in cells})
        for check in checks
    ]
    notes = [f"{name}: {note}" for name, backend in chosen.items() for note in backend.notes(net)]
    # no module is empty: a smaller input never suits, and the batch is that of the net's own
    sample, batch = _sample(net, chosen, dict.fromkeys(chosen, ""))
    if rows[0].ok:
        rows += _numbers(Experiment(sample, batch, chosen, seed), steps)
    else:
        notes.append("numbers are not compared, since weights cannot be moved")
    return Verification(
        net.name, net.spec, tuple(chosen), seed, net.inputs, sample.inputs, batch, tuple(rows), tuple(notes)
    )
