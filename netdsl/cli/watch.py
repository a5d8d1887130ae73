"""The option --watch: do it again whenever a file that was read or looked for has changed, has come or has gone."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable

from netdsl import reading
from netdsl.cli import common
from netdsl.diagnostics import NetError

PAUSE = 0.2
"""Seconds between looks at the files."""
SETTLE = 0.05
"""Seconds for an editor to put the new file in the place of the old one."""


def watch(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command for ever; NetError if it reads no file that could change."""
    specs = [args.spec] if isinstance(args.spec, str) else args.spec or [os.curdir]
    if any(spec.partition(":")[0] == "-" for spec in specs):
        common.misuse("E500", "--watch looks at files, and standard input is none", "give a file")
    while True:
        folders = [spec for spec in specs if os.path.isdir(spec)]
        listed = _listed(folders)
        with reading.noted() as read:
            try:
                run(args)
            except NetError as error:
                common.report(error.diagnostics)
        if not folders and not any(was or file.endswith(".net") for file, was in read.items()):
            common.misuse("E500", f"--watch: {' '.join(specs)} is no file of yours", "what is packaged stays")
        sys.stdout.flush()
        count = len({os.path.realpath(file) for file, was in read.items() if was})
        files = f"{count} file{'s' if count != 1 else ''}"
        common.note(f"watching {', '.join([files, *folders])}; Ctrl-C ends it")
        gc.collect()  # else main's thresholds let garbage of many runs grow
        while _listed(folders) == listed and all(reading.stamp(file) == was for file, was in read.items()):
            time.sleep(PAUSE)
        time.sleep(SETTLE)
        if sys.stdout.isatty():
            print("\x1b[2J\x1b[H", end="")


def _listed(folders: list[str]) -> list[list[str]]:
    """Return the .net files in each folder."""
    found = []
    for folder in folders:
        try:
            found.append(common.below(folder))
        except NetError:  # there is none yet
            found.append([])
    return found
