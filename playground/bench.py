"""How long the playground takes, in headless Chromium: until the first result, and from an edit to its result.

    python playground/bench.py [--times 5]

It wants a machine with nothing else to do. Beside the time on the clock stands that of all of Chromium's processes,
which other programs change less. `make playground` first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from netdsl.ide.serve import Server, built

EDITS = {
    "resnet.net:resnet50": r"conv1: conv 7x7, (\d+)",
    "nasnet.net:nasnet_a_large": r"classes = (\d+)",
}
"""Nets, and where in their text a number is changed."""
TICK = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """Return a process and all that it has begun."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def spent() -> float:
    """Return the seconds of processor time of all that this process has begun, as far as it lives."""
    total = 0
    for pid in descendants(os.getpid())[1:]:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def said(name: str, seconds: list[float], processor: list[float]) -> None:
    """Print a line."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    middle, work = statistics.median(seconds), statistics.median(processor)
    print(f"{name:44} {1000 * middle:8.0f} ms  p95 {1000 * high:8.0f} ms  processor {1000 * work:8.0f} ms")


def cold(browser: Browser, address: str, times: int) -> None:
    """Open the page in browsers that have seen nothing yet."""
    seconds, processor = [], []
    for _ in range(times):
        context = browser.new_context()
        tab = context.new_page()
        before = spent()
        tab.goto(address)
        tab.locator("body[data-first]").wait_for(timeout=120_000)
        seconds.append(int(tab.locator("body").get_attribute("data-first") or 0) / 1000)
        processor.append(spent() - before)
        how = tab.locator("body").get_attribute("data-engine")
        context.close()
    said(f"first result, cold, from {how}", seconds, processor)


def edits(tab: Page, address: str, times: int) -> None:
    """Change a number in large nets, one time after another."""
    for spec, pattern in EDITS.items():
        tab.goto(address)
        tab.locator("body[data-first]").wait_for(timeout=120_000)
        tab.locator("#zoo").select_option(spec)
        tab.locator("#tab-torch").click()
        tab.locator("body[data-drawn=torch]").wait_for(timeout=120_000)
        tab.locator("#tab-table").click()
        tab.wait_for_timeout(3000)
        seconds, processor, inside = [], [], []
        for _ in range(times):
            before = spent()
            took, worked = tab.evaluate(
                """pattern => new Promise(done => {
                  const view = document.querySelector("#editor .cm-content").cmTile.view;
                  const found = new RegExp(pattern, "d").exec(view.state.doc.toString());
                  const [from, to] = found.indices[1], insert = String(+found[1] + 1);
                  const begun = performance.now();
                  new MutationObserver((_, watcher) => {
                    watcher.disconnect();
                    done([performance.now() - begun, +document.body.dataset.analysis]);
                  }).observe(document.body, {attributeFilter: ["data-analysis"]});
                  view.dispatch({changes: {from, to, insert}});
                })""",
                pattern,
            )
            processor.append(spent() - before)
            seconds.append(took / 1000)
            inside.append(worked / 1000)
            tab.wait_for_timeout(900)
        said(f"edit to result, {spec}", seconds, processor)
        said("  of which in netdsl", inside, inside)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    folder = built()
    sizes = [
        path.stat().st_size
        for path in folder.rglob("*.br")
        if not path.name.startswith(("netdsl-", "library-"))  # only without the kept memory
    ]
    print(f"compressed by brotli, all that a page loads or keeps: {sum(sizes) / 1e6:.2f} MB")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with Server(folder, "127.0.0.1", 0) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu"])
        cold(browser, server.address, args.times)
        edits(browser.new_page(viewport={"width": 1600, "height": 900}), server.address, 4 * args.times)
        browser.close()
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
