"""A small writer of SVG that escapes every text, and knows how wide texts are.

What is drawn has a kind, which is a class of the style sheet: one colour for light and one for dark pages. A picture
has a ground of its own, so it reads the same wherever it is put. Lengths are pixels.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from unicodedata import category, east_asian_width

from netdsl.diagnostics.render import printable
from netdsl.record import Record

SIZE = 12
"""The height of letters where nothing else is said."""
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_QUOTED = re.compile(r'="([\w.#-]+)"(?=[ >])')
"""What HTML has without quotes; those in texts are escaped."""
_NARROW = frozenset("iljtfrI.,:;'|!()[]/ -")


class Look(Record):
    """What a kind looks like: declarations of CSS on a light page, and on a dark one."""

    light: str
    dark: str


def _fill(light: str, dark: str, more: str = "") -> Look:
    return Look(f"fill:{light}{more}", f"fill:{dark}")


def _box(light: tuple[str, str], dark: tuple[str, str]) -> Look:
    return Look(f"fill:{light[0]};stroke:{light[1]}", f"fill:{dark[0]};stroke:{dark[1]}")


LOOKS = {
    "page": _fill("#ffffff", "#16181d"),
    "veil": _fill("#ffffff", "#16181d", ";fill-opacity:.7"),
    "ink": _fill("#1f2328", "#e6e8eb"),
    "strong": _fill("#1f2328", "#e6e8eb", ";font-weight:600"),
    "faint": _fill("#57606a", "#a3adb8"),
    "varies": _fill("#1f2328", "#e6e8eb", ";font-style:italic"),
    "grid": Look("stroke:#d9dde3;fill:none", "stroke:#343a44"),
    "activations": _fill("#2f6fb7", "#6aa6e8"),
    "params": _fill("#b4541a", "#f0955a"),
    "macs": _fill("#2e7d4f", "#62c08a"),
    "area": Look("fill:#2f6fb7;fill-opacity:.3;stroke:#2f6fb7", "fill:#6aa6e8;stroke:#6aa6e8"),
    "mark": _fill("#b4541a", "#f0955a"),
    "bubble": Look("fill:#2f6fb7;fill-opacity:.25;stroke:#2f6fb7", "fill:#6aa6e8;stroke:#6aa6e8"),
    "ring": Look("fill:none;stroke:#2f6fb7;stroke-opacity:.45", "fill:none;stroke:#6aa6e8"),
    "chosen": Look("fill:#b4541a;fill-opacity:.45;stroke:#b4541a", "fill:#f0955a;stroke:#f0955a"),
    "leader": Look("stroke:#57606a;fill:none;stroke-width:.7", "stroke:#a3adb8"),
    "edge": Look("stroke:#57606a;fill:none;stroke-width:1.2", "stroke:#a3adb8"),
    "tip": _fill("#57606a", "#a3adb8"),
    "end": _box(("#ffffff", "#57606a"), ("#16181d", "#a3adb8")),
    "plain": _box(("#f1f3f6", "#8a97a8"), ("#232831", "#667386")),
    "works": _box(("#dfeaf8", "#2f6fb7"), ("#1d3048", "#6aa6e8")),
    "joins": _box(("#f9e8dc", "#b4541a"), ("#402a1c", "#f0955a")),
    "block": _box(("#e9e3f7", "#6b4fb3"), ("#2f2748", "#a78bfa")),
    "panel": _box(("#fafbfc", "#c9ced6"), ("#1b1e24", "#3a404a")),
    "panel-ground": _fill("#fafbfc", "#1b1e24"),
    "plate": Look("fill:none;stroke:#6b4fb3;stroke-dasharray:5 3", "fill:none;stroke:#a78bfa"),
    "badge": _fill("#6b4fb3", "#a78bfa"),
    "badged": _fill("#ffffff", "#16181d", ";font-weight:600"),
}


def width(text: str, size: float = SIZE) -> float:
    """Return about how wide a text is, rather too much than too little."""
    return size * sum(map(_share, text))


def _share(char: str) -> float:
    if char in _NARROW:
        return 0.4
    if category(char) in ("Mn", "Me"):
        return 0.0
    if east_asian_width(char) in "WF":
        return 1.05
    if char in "mwMW@%":
        return 0.98
    return 0.74 if char.isupper() else 0.64


def fitted(text: str, room: float, size: float = SIZE) -> str:
    """Return a text that can be shown, cut in its middle if it is wider than `room`."""
    text = printable(text[:1000])
    if width(text, size) <= room:
        return text
    keep = len(text) - 1
    while keep > 2 and width(f"{text[: (keep + 1) // 2]}…{text[-(keep // 2) :]}", size) > room:
        keep -= 1
    return f"{text[: (keep + 1) // 2]}…{text[-(keep // 2) :]}"


def number(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


class Svg:
    """A picture; everything is drawn over what was drawn before."""

    def __init__(self, wide: float, high: float, title: str) -> None:
        """Start with the ground; the title is what readers are told who do not see the picture."""
        self.wide, self.high = wide, high
        self.title = printable(title)
        self.parts: list[str] = []
        self.kinds: set[str] = set()
        self.links = False
        self.rect(0, 0, wide, high, "page")

    def rect(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        kind: str,
        tip: str = "",
        round: float = 0,
        data: Mapping[str, int] | None = None,
    ) -> None:
        """Draw a rectangle; `tip` is shown when a pointer rests on it, and `data` is for scripts."""
        fields = f'{_at(x, y)} width="{number(wide)}" height="{number(high)}"'
        fields += f' rx="{number(round)}"' if round else ""
        fields += "".join(f' data-{name}="{value}"' for name, value in (data or {}).items())
        self._add("rect", kind, fields, tip)

    def circle(self, x: float, y: float, radius: float, kind: str, tip: str = "") -> None:
        """Draw a circle around a place."""
        self._add("circle", kind, f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"', tip)

    def line(self, x: float, y: float, to_x: float, to_y: float, kind: str = "grid") -> None:
        """Draw a straight line."""
        self.path(f"M{number(x)} {number(y)}L{number(to_x)} {number(to_y)}", kind)

    def path(self, steps: str, kind: str) -> None:
        """Draw a path, whose steps are numbers and letters of SVG."""
        self._add("path", kind, f'd="{steps}"')

    def text(
        self, x: float, y: float, text: str, kind: str = "ink", anchor: str = "start", size: float = SIZE
    ) -> None:
        """Write a text whose base line is at `y`, and which starts, ends or has its middle at `x`."""
        where = _at(x, y) + (f' text-anchor="{anchor}"' if anchor != "start" else "")
        self._add("text", kind, f'{where} font-size="{number(size)}"', text=text)

    @contextmanager
    def link(self, target: str) -> Iterator[None]:
        """Make what is drawn within a link to a place of the page that the picture is in; "" for none."""
        self.links |= bool(target)
        self.parts += [f'<a href="#{escape(target)}">'] if target else []
        yield
        self.parts += ["</a>"] if target else []

    def _add(self, tag: str, kind: str, fields: str, tip: str = "", text: str = "") -> None:
        self.kinds.add(kind)
        inside = f"<title>{escape(printable(tip))}</title>" if tip else escape(printable(text))
        end = f">{inside}</{tag}>" if inside else "/>"
        self.parts.append(f'<{tag} class="{kind}" {fields}{end}')

    def __str__(self) -> str:
        """Return the picture as a file."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {self._head()}>'
        style = f"<style>{styles(self.kinds)}</style>"
        return "\n".join([head, f"<title>{escape(self.title)}</title>", style, *self.parts, "</svg>", ""])

    def inline(self) -> str:
        """Return the picture as a part of a page that has `styles` of all kinds, as short as HTML has it."""
        lines = [f"<svg {self._head()}>", f"<title>{escape(self.title)}</title>", *self.parts, "</svg>", ""]
        return _QUOTED.sub(r"=\1", "\n".join(lines))

    def _head(self) -> str:
        # a picture with links is no single image to those who hear it
        role = "group" if self.links else "img"
        wide, high = number(self.wide), number(self.high)
        return f'class="netdsl" role="{role}" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'


def styles(kinds: Container[str] = LOOKS) -> str:
    """Return the style sheet of kinds, for light and for dark pages."""
    used = [(kind, look) for kind, look in LOOKS.items() if kind in kinds]
    light = "".join(f".netdsl .{kind}{{{look.light}}}" for kind, look in used)
    dark = "".join(f".netdsl .{kind}{{{look.dark}}}" for kind, look in used)
    return f".netdsl{{font-family:{_FONT}}}{light}\n@media (prefers-color-scheme: dark){{{dark}}}"


def _at(x: float, y: float) -> str:
    return f'x="{number(x)}" y="{number(y)}"'


def ticks(largest: float, most: int = 4) -> list[float]:
    """Return round numbers from 0 to about `largest`, at most so many above 0."""
    if largest <= 0:
        return [0]
    step = 10.0 ** _exponent(largest / most)
    step = next(step * times for times in (1, 2, 2.5, 5, 10, 20) if step * times * most >= largest)
    return [step * index for index in range(int(largest / step + 1e-9) + 1)]


def _exponent(value: float) -> int:
    """Return the exponent of ten below a number."""
    return int(f"{value:e}".rpartition("e")[2])
