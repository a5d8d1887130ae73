"""Devices: what vendors say of them, one TOML file each.

They are found in the folder beside this module, and in the one that the environment variable NETDSL_DEVICES names,
whose devices count first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netdsl import data, reading
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.ir.types import DTYPES
from netdsl.record import Record

FOLDER = "hardware/devices"
VARIABLE = "NETDSL_DEVICES"
SUFFIX = ".toml"
NUMBERS = ("bandwidth", "memory", "flash", "power")
KEYS = ("title", "note", *NUMBERS, "peak", "source", "calibration")


class Calibration(Record):
    """What was fitted to measured times, and how well it did on nets that it had not seen."""

    dtype: str
    nets: int
    """How many it was tried on."""
    error: float
    """The median of |predicted - measured| / measured on them."""
    within_10: float
    """The share of them whose error is at most 0.1."""
    within_20: float
    kernels: Mapping[str, tuple[float, float, float]]
    """Seconds of a step, of one operation and of one byte, by kind of kernel (`Op.runs_as`)."""

    def predict(self, kernel: str, operations: int, bytes: int) -> float | None:
        """Return the seconds of a step; None for a kind that was not measured."""
        if kernel not in self.kernels:
            return None
        launch, operation, byte = self.kernels[kernel]
        return launch + operation * operations + byte * bytes


class Device(Record):
    """A device; what its vendor does not say is None."""

    name: str
    title: str
    peak: Mapping[str, float]
    """The most operations a second by dtype; a multiply-accumulate is two. Dense: nothing is known to be zero."""
    bandwidth: float | None = None
    """Of its memory, in bytes a second."""
    memory: float | None = None
    """In bytes."""
    flash: float | None = None
    """Bytes of a memory beside it that holds the weights, which then take none of `memory`."""
    power: float | None = None
    """Its rated power, in watts."""
    source: Mapping[str, str] = {}
    """Who says so, by number: `peak`, `bandwidth`, `memory`, `flash`, `power`."""
    note: str = ""
    calibration: Calibration | None = None

    def rate(self, dtype: str) -> float:
        """Return its operations a second in a dtype; raise NetError if it has none, or none is known."""
        if dtype not in self.peak:
            message = f"{self.name} has no peak rate for {dtype}"
            raise NetError([Diagnostic("E542", message, help=f"it has {', '.join(self.peak)}")])
        return self.peak[dtype]


def names() -> list[str]:
    """Return the names of all devices, sorted; raise NetError if the user's folder cannot be read."""
    return sorted({*_own(), *_packaged()})


def find(spec: str) -> Device:
    """Return a device by its name or by its file, `FILE.toml`.

    Raises:
        NetError: There is none, or its file cannot be used.
    """
    if spec.endswith(SUFFIX) or "/" in spec:
        return _of_file(Path(spec))
    own = _own()
    if spec in own:
        return _of_file(own[spec])
    packaged = _packaged()
    if spec not in packaged:
        help = did_you_mean(spec, [*own, *packaged]) or "`netdsl devices` lists them; a file ends in .toml"
        raise NetError([Diagnostic("E540", f"there is no device `{spec}`", help=help)])
    return read(data.read(FOLDER, f"{spec}{SUFFIX}"), spec, spec)


def _packaged() -> list[str]:
    return [file.removesuffix(SUFFIX) for file in data.names(FOLDER, SUFFIX)]


def _own() -> dict[str, Path]:
    """Return the user's devices: the file by name."""
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return {}
    try:
        return {path.stem: path for path in sorted(Path(folder).iterdir()) if path.suffix == SUFFIX}
    except OSError as error:
        raise _wrong(f"cannot read {VARIABLE}={folder}: {reading.reason(error)}") from None


def _of_file(file: Path) -> Device:
    try:
        text = reading.text(file, reading.MAX_SETTINGS)
    except reading.Unreadable as error:
        raise _wrong(f"cannot read {file}: {error}") from None
    return read(text, file.stem, str(file))


def read(text: str, name: str, origin: str) -> Device:
    """Return the device that a TOML text describes; raise NetError, which says `origin`, if it describes none."""
    try:
        table = reading.toml(text)
    except reading.Unreadable as error:
        raise _wrong(f"cannot read {origin}: {error}") from None
    _check_keys(table, KEYS, origin)
    numbers = {key: _number(table[key], f"{origin}: {key}") for key in NUMBERS if key in table}
    peak = _table(table.get("peak", {}), f"{origin}: peak")
    if not peak:
        raise _wrong(f"{origin}: [peak] is missing", "such as float32 = 1.5e12 operations a second")
    _check_keys(peak, tuple(DTYPES), f"{origin}: peak")
    source = _table(table.get("source", {}), f"{origin}: source")
    _check_keys(source, ("peak", *NUMBERS), f"{origin}: source")
    return Device(
        name=name,
        title=_text(table.get("title", name), f"{origin}: title"),
        peak={dtype: _number(rate, f"{origin}: peak.{dtype}") for dtype, rate in peak.items()},
        source={key: _text(said, f"{origin}: source.{key}") for key, said in source.items()},
        note=_text(table.get("note", ""), f"{origin}: note"),
        calibration=_calibration(table["calibration"], f"{origin}: calibration")
        if "calibration" in table
        else None,
        **numbers,
    )


def _calibration(value: Any, where: str) -> Calibration:
    table = _table(value, where)
    _check_keys(table, Calibration._fields, where)
    missing = [key for key in Calibration._fields if key not in table]
    if missing:
        raise _wrong(f"{where}: `{missing[0]}` is missing", "`netdsl calibrate` writes it")
    kernels: dict[str, tuple[float, float, float]] = {}
    for kernel, numbers in _table(table["kernels"], f"{where}.kernels").items():
        here = f"{where}.kernels.{kernel}"
        if not isinstance(numbers, list) or len(numbers) != 3:
            raise _wrong(f"{here}: must be seconds of a step, an operation and a byte, got {numbers!r}")
        launch, operation, byte = (_number(number, here, least=True) for number in numbers)
        kernels[kernel] = launch, operation, byte
    if _text(table["dtype"], f"{where}.dtype") not in DTYPES:
        raise _wrong(f"{where}.dtype: must be one of {', '.join(DTYPES)}, got {table['dtype']!r}")
    if type(table["nets"]) is not int:
        raise _wrong(f"{where}.nets: must be a whole number, got {table['nets']!r}")
    shares = {
        key: _number(table[key], f"{where}.{key}", least=True) for key in ("error", "within_10", "within_20")
    }
    return Calibration(dtype=table["dtype"], nets=table["nets"], kernels=kernels, **shares)


def _check_keys(table: Iterable[str], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            help = did_you_mean(key, known) or f"there are {', '.join(known)}"
            raise _wrong(f"{where}: unknown key `{key}`", help)


def _number(value: Any, where: str, least: bool = False) -> float:
    """Return a number above 0, or `least` 0."""
    if type(value) not in (int, float) or not (0 < value < float("inf") or (least and value == 0)):
        raise _wrong(f"{where}: must be a number {'from' if least else 'above'} 0, got {value!r}")
    return float(value)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(f"{where}: must be a text, got {value!r}")
    return value


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{where}: must be a table, got {value!r}")
    return value


def _wrong(message: str, help: str = "") -> NetError:
    return NetError([Diagnostic("E541", message, help=help)])
