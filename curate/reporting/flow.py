"""Lays out the flow of samples as bands between columns, the height of each as its count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_WIDTH = 1060.0
_BAND = 12.0  # width of a node
_BODY = 250.0  # height of the whole of a scale
_LEAST = 2.0  # a node that holds anything can be seen
_WORDS = 200.0  # room for the words of the last column
_ROW = 34.0  # two lines of words beside each node
_GAP = 10.0
_TOP = 30.0  # for the column headings


@dataclass(slots=True)
class Node:
    """One place where samples stand; `kind` names its colour, `scale` the figure that heights are relative to."""

    key: str
    column: int
    name: str
    count: int
    kind: str
    scale: str = "real"
    x: float = 0.0
    y: float = 0.0
    height: float = 0.0
    left: float = field(default=0.0, repr=False)  # how much of the side is taken by links, from the top
    right: float = field(default=0.0, repr=False)

    @property
    def middle(self) -> float:
        """Where its words stand."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Link:
    """Samples that go from one node to another; `learned` links carry knowledge and have no count."""

    source: str
    target: str
    count: int
    kind: str
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A link as an SVG path."""

    path: str
    kind: str
    title: str
    learned: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """A drawing of nodes and ribbons, in units of the view box."""

    width: float
    height: float
    nodes: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]
    headings: tuple[tuple[float, str], ...]


def lay_out(nodes: Sequence[Node], links: Iterable[Link], headings: Sequence[str]) -> Flow:
    """Place nodes in their columns, in the order given, and join them.

    Args:
        nodes: those with a count of zero are left out, and their links too.
        headings: a title for each column.
    """
    shown = [node for node in nodes if node.count > 0]
    columns = max((node.column for node in shown), default=0) + 1
    step = (_WIDTH - _WORDS) / max(columns - 1, 2)
    units = _units(shown)
    bottom = _TOP
    for column in range(columns):
        y = _TOP
        for node in (n for n in shown if n.column == column):
            node.x = column * step
            node.height = max(_LEAST, node.count * units[node.scale])
            node.y = y + max(0.0, (_ROW - node.height) / 2)
            y += max(node.height, _ROW) + _GAP
        bottom = max(bottom, y)
    by_key = {node.key: node for node in shown}
    ribbons = [
        _ribbon(by_key[link.source], by_key[link.target], link)
        for link in links
        if link.source in by_key and link.target in by_key and (link.count > 0 or link.learned)
    ]
    return Flow(
        _WIDTH, bottom, tuple(shown), tuple(ribbons), tuple((c * step, title) for c, title in enumerate(headings[:columns]))
    )


def _units(nodes: Sequence[Node]) -> Mapping[str, float]:
    """View-box units a sample, by scale: the fullest column of each scale is `_BODY` high, drawings a little less."""
    fullest: dict[str, int] = {}
    for scale in {node.scale for node in nodes}:
        columns: dict[int, int] = {}
        for node in nodes:
            if node.scale == scale:
                columns[node.column] = columns.get(node.column, 0) + node.count
        fullest[scale] = max(columns.values())
    return {scale: (_BODY if scale == "real" else _BODY * 0.6) / count for scale, count in fullest.items()}


def _ribbon(source: Node, target: Node, link: Link) -> Ribbon:
    if link.learned:
        begin, end = source.height, target.height
        y0, y1 = source.y, target.y
    else:
        begin = source.height * link.count / source.count
        end = target.height * link.count / target.count
        y0, y1 = source.y + source.right, target.y + target.left
        source.right += begin
        target.left += end
    x0, x1 = source.x + _BAND, target.x
    bend = (x0 + x1) / 2
    path = (
        f"M{x0:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
        f"V{y1 + end:.1f}C{bend:.1f} {y1 + end:.1f} {bend:.1f} {y0 + begin:.1f} {x0:.1f} {y0 + begin:.1f}Z"
    )
    title = f"{source.name} → {target.name}" + ("" if link.learned else f": {link.count:,}")
    return Ribbon(path, link.kind, title, link.learned)
