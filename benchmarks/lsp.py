"""From a key to diagnostics and hints, and hover: the language server as a process, spoken to over its streams.

Keys change numbers in stems, blocks, heads and comments, so that much is worked out anew, little, or nothing can be;
between two there are 0.1 to 0.6 s, in which the server begins what can wait. Beside each time stands what the server
computed in it, which other processes do not change.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

SPECS = Path(__file__).parent.parent / "specs"
KEYS = 120
NETS = {
    "resnet50": ("resnet.net", 80, 50),
    "resnet152": ("resnet.net", 0, 0),
    "nasnet_a_large": ("nasnet.net", 150, 50),
    "vgg16": ("vgg.net", 0, 0),
}
"""By net its file, and what p95 is to be: of a key, and of hovering; 0 for what is shown alone."""


class Client:
    """One server, and what it says."""

    def __init__(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "netdsl", "lsp"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.heard: Queue[tuple[float, dict[str, Any]]] = Queue()
        self.number = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            length = int(header.partition(b":")[2])
            while stream.readline().strip():
                pass
            body = stream.read(length)
            self.heard.put((time.perf_counter(), json.loads(body)))

    def send(self, method: str, params: Any, ask: bool = False) -> int:
        """Send a notification, or a request whose number is returned."""
        fields = {"jsonrpc": "2.0", "method": method, "params": params}
        if ask:
            self.number += 1
            fields["id"] = self.number
        body = json.dumps(fields).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()
        return self.number

    def computed(self) -> float:
        """Return the seconds that the server has computed until now, in all of its threads; 0 where nobody says."""
        spent = 0
        for file in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            try:
                spent += int(file.read_text().split()[0])
            except OSError:
                continue  # it has just ended
        return spent / 1e9

    def answer(self, number: int, version: int = -1) -> tuple[float, Any]:
        """Return when an answer came, and the diagnostics of a version if they are waited for too."""
        last, result, waits = 0.0, None, {"answer", *(["diagnostics"] if version >= 0 else [])}
        while waits:
            when, message = self.heard.get(timeout=60)
            if message.get("id") == number and "method" not in message:
                result = message.get("result")
                waits.discard("answer")
                last = when
            elif message.get("params", {}).get("version") == version and "diagnostics" in waits:
                waits.discard("diagnostics")
                last = when
        return last, result


def places(text: str) -> list[int]:
    """Return offsets of digits of numbers, at which one more is typed: in blocks, nets and comments."""
    rows = text.splitlines(keepends=True)
    at, found = 0, []
    for row in rows:
        code = row.split("meta")[0]
        for column, char in enumerate(code):
            following = code[column + 1 : column + 2]
            if char.isdigit() and not (following.isalnum() or following in ("_", ".")):
                if column and (code[column - 1] in " ,=" or code[column - 1].isdigit()):
                    found.append(at + column + 1)
        at += len(row)
    return found


def position(text: str, offset: int) -> dict[str, int]:
    """Return an offset as the protocol has it."""
    line = text.count("\n", 0, offset)
    return {"line": line, "character": offset - text.rfind("\n", 0, offset) - 1}


def measure(name: str) -> tuple[list[float], list[float], list[float]]:
    """Return seconds from a key to diagnostics and hints, what was computed in them, and seconds of hovering."""
    file, _, _ = NETS[name]
    text = (SPECS / file).read_text(encoding="utf-8")
    uri = (SPECS / file).as_uri()
    draw = random.Random(0)
    client = Client()
    settings = {"net": name}
    start = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": settings}
    client.answer(client.send("initialize", start, ask=True))
    client.send("initialized", {})
    item = {"uri": uri, "languageId": "netdsl", "version": 0, "text": text}
    client.send("textDocument/didOpen", {"textDocument": item})
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 9999, "character": 0}}
    document = {"uri": uri}
    keys: list[float] = []
    work: list[float] = []
    hovers: list[float] = []
    offsets = places(text)
    for version in range(1, KEYS + 1):
        time.sleep(draw.uniform(0.1, 0.6))
        if version % 2:
            offset = draw.choice(offsets)
            at = position(text, offset)
            edit = {"range": {"start": at, "end": at}, "text": "0"}
        else:  # and taken out again
            end = {**at, "character": at["character"] + 1}
            edit = {"range": {"start": at, "end": end}, "text": ""}
        spent, begun = client.computed(), time.perf_counter()
        identifier = {"uri": uri, "version": version}
        client.send("textDocument/didChange", {"textDocument": identifier, "contentChanges": [edit]})
        number = client.send("textDocument/inlayHint", {"textDocument": document, "range": whole}, ask=True)
        when, _ = client.answer(number, version)
        keys.append(when - begun)
        work.append(client.computed() - spent)
        if not version % 2:
            begun = time.perf_counter()
            where = position(text, draw.choice(offsets) - 1)
            asked = client.send("textDocument/hover", {"textDocument": document, "position": where}, ask=True)
            hovers.append(client.answer(asked)[0] - begun)
    client.answer(client.send("shutdown", None, ask=True))
    client.send("exit", None)
    client.process.wait(10)
    return keys, work, hovers


def main() -> None:
    """Print a table."""
    print(
        f"{'net':16} {'key p50':>9} {'p95':>6} {'goal':>6} {'computed':>9} {'p95':>6}        "
        f"{'hover p50':>10} {'p95':>6} {'goal':>6}   ms"
    )
    for name in sys.argv[1:] or NETS:
        _, goal, hover_goal = NETS[name]
        keys, work, hovers = measure(name)
        row = [name.ljust(16)]
        for times, most, width in ((keys, goal, 9), (work, 0, 9), (hovers, hover_goal, 10)):
            p95 = statistics.quantiles(times, n=20)[18]
            row.append(f"{1000 * statistics.median(times):{width}.0f} {1000 * p95:6.0f} {most or '':>6}")
        print(*row, flush=True)


if __name__ == "__main__":
    main()
