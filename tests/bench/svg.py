"""Small plots as SVG, written by hand: readable on a light page and on a dark one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 760
_LABEL_WIDTH = 150
_NOTE_WIDTH = 150
_ROW_HEIGHT, _BAR_HEIGHT = 34, 22
_TOP = 44
_LEGEND_ROW_HEIGHT, _LEGEND_COLUMNS = 18, 4
_NARROWEST_WITH_TEXT = 26
_CHARACTER_WIDTH = 6.2
_GAP = 1
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}"
    ".quiet{fill:#59636e}.on{fill:#fff;font-size:11px}.axis{stroke:#d1d9e0}"
    "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.quiet{fill:#9198a1}.on{fill:#fff}"
    ".axis{stroke:#3d444d}}"
)

BLUES = ("#0b5cad", "#2f7fd0", "#0e7490", "#1d4ed8", "#4f6bd8", "#3b82a0", "#5b5bd6")
ORANGES = ("#b45309", "#d98324", "#8f3f10", "#c9a227", "#a8431f", "#e39b4b", "#7c4a03")
GREYS = ("#6e7781", "#848d97", "#57606a")


@dataclass(frozen=True)
class Segment:
    name: str
    value: float
    colour: str


@dataclass(frozen=True)
class Bar:
    label: str
    segments: Sequence[Segment]
    note: str

    @property
    def total(self) -> float:
        return sum(segment.value for segment in self.segments)


@dataclass(frozen=True)
class Group:
    """Bars on one scale; the legend explains segments that are too narrow for their names."""

    rows: Sequence[Bar]
    legend: Sequence[Segment] = ()

    @property
    def height(self) -> int:
        legend_rows = -(-len(self.legend) // _LEGEND_COLUMNS)
        return len(self.rows) * _ROW_HEIGHT + (legend_rows + 1) * _LEGEND_ROW_HEIGHT


def bars(title: str, groups: Sequence[Group]) -> str:
    """Horizontal bars, each group on a scale of its own."""
    drawn: list[str] = []
    top = _TOP
    for group in groups:
        drawn += _group(group, top)
        top += group.height
    return _picture(title, top, drawn)


def lines(
    title: str,
    curves: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    unit: str,
    along: str = "requests",
) -> str:
    """Curves from a common origin, each named at its end."""
    height, bottom = 240, 200
    most_x = max((x for _, points in curves for x, _ in points), default=1) or 1
    most_y = max((y for _, points in curves for _, y in points), default=1) or 1
    right = _WIDTH - _NOTE_WIDTH
    drawn = [f'<path class="axis" fill="none" d="M{_LABEL_WIDTH // 2} {_TOP}V{bottom}H{right}"/>']
    for number, (name, points) in enumerate(curves):
        colour = (BLUES[0], ORANGES[0], GREYS[0])[number % 3]
        spots = [
            (
                _LABEL_WIDTH // 2 + (right - _LABEL_WIDTH // 2) * x / most_x,
                bottom - (bottom - _TOP) * y / most_y,
            )
            for x, y in points
        ]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in spots)
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>')
        if spots:
            drawn.append(_text(right + 8, spots[-1][1] + 4, f"{name} {points[-1][1]:.0f} {unit}"))
    drawn.append(_text(right, bottom + 18, f"{most_x:,.0f} {along}", anchor="end", kind="quiet"))
    return _picture(title, height, drawn)


def _group(group: Group, top: float) -> Iterator[str]:
    scale = (_WIDTH - _LABEL_WIDTH - _NOTE_WIDTH) / max((row.total for row in group.rows), default=1)
    for number, row in enumerate(group.rows):
        yield from _bar(row, top + number * _ROW_HEIGHT, scale)
    for number, segment in enumerate(group.legend):
        yield from _key(segment, number, top + len(group.rows) * _ROW_HEIGHT + _LEGEND_ROW_HEIGHT // 2)


def _bar(row: Bar, top: float, scale: float) -> list[str]:
    middle = top + _BAR_HEIGHT / 2 + 4
    drawn = [_text(_LABEL_WIDTH - 8, middle, row.label, anchor="end")]
    left = float(_LABEL_WIDTH)
    for segment in row.segments:
        width = max(segment.value * scale - _GAP, 0.5)
        drawn.append(
            f'<rect x="{left:.1f}" y="{top:.0f}" width="{width:.1f}" height="{_BAR_HEIGHT}" '
            f'fill="{segment.colour}"><title>{escape(segment.name)} {segment.value:.0f}</title></rect>'
        )
        if width > max(_NARROWEST_WITH_TEXT, len(segment.name) * _CHARACTER_WIDTH):
            drawn.append(_text(left + width / 2, middle, segment.name, anchor="middle", kind="on"))
        left += segment.value * scale
    return [*drawn, _text(left + 8, middle, row.note, kind="quiet")]


def _key(segment: Segment, number: int, top: float) -> list[str]:
    column, line = number % _LEGEND_COLUMNS, number // _LEGEND_COLUMNS
    left = 12 + column * (_WIDTH - 24) / _LEGEND_COLUMNS
    y = top + line * _LEGEND_ROW_HEIGHT
    square = f'<rect x="{left:.0f}" y="{y - 9:.0f}" width="10" height="10" fill="{segment.colour}"/>'
    return [square, _text(left + 15, y, f"{segment.name} {segment.value:.0f}")]


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    names = f' class="{kind}"' if kind else ""
    at = f'x="{x:.0f}" y="{y:.0f}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f"<text {at}{names}>{escape(words)}</text>"


def _picture(title: str, height: float, drawn: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return "\n".join([head, _text(12, 22, title, kind="title"), *drawn, "</svg>"]) + "\n"
