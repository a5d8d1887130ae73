"""The linter in a process of its own: in a thread it would hold up what is being typed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from netdsl import api
from netdsl.elaborate.files import Importer
from netdsl.ide.findings import Found, findings
from netdsl.source import Source

log = logging.getLogger(__name__)

Overlay = tuple[str, str, Path | None]
"""The name, text and file of a text that is open."""


class Linter:
    """A worker that is started when it is first needed, and lives as long as the server."""

    def __init__(self) -> None:
        """Start nothing."""
        self._pool: ProcessPoolExecutor | None = None
        self._stopped = False

    async def lint(self, source: Source, overlays: Sequence[Overlay]) -> list[Found] | None:
        """Return what the rules find in a text, where others are open; None if that cannot be said."""
        if self._stopped:
            return None
        if self._pool is None:
            # a new interpreter: a fork would have the server's threads and streams
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), _set_up)
        run = self._pool.submit(_lint, (source.name, source.text, source.path), tuple(overlays))
        try:
            return await asyncio.wrap_future(run)
        except BrokenProcessPool:
            log.warning("the linter has ended, and is started anew")
            self._pool = None
            return None
        except asyncio.CancelledError:
            run.cancel()
            raise
        except Exception:
            log.exception("linting %s", source.name)
            return None

    def stop(self) -> None:
        """End the worker, whatever it does."""
        self._stopped = True
        if self._pool is not None:
            workers = [*(self._pool._processes or {}).values()]
            self._pool.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()


def _set_up() -> None:
    """Let everything else go first."""
    try:
        os.nice(5)
    except (AttributeError, OSError):
        return  # where there is no such thing


def _lint(given: Overlay, overlays: tuple[Overlay, ...]) -> list[Found]:
    source = Source(*given)
    return findings(source, _importer(source, overlays))


def _importer(source: Source, overlays: tuple[Overlay, ...]) -> Importer:
    folder = source.path.parent if source.path is not None else None
    disk = api._importer(folder, ())
    texts = {one.key: one for one in (Source(*overlay) for overlay in overlays)}

    def find(name: str, asking: Source) -> Source:
        if asking.path is not None and "\0" not in name:
            own = texts.get(os.path.realpath(asking.path.parent / name))
            if own is not None:
                return own
        return disk(name, asking)

    return find
