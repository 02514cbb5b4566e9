"""Charts as parts of the page: SVG without styles, scripts and fonts of their own.

The page's style sheet colours them, so that they follow light and dark. Their figures
are in a table beside them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup

from target_customerio.report.formats import visible

# pygal's importer serves its maps only, and Python before 3.12 warns of it whenever an
# import fails.
sys.meta_path[:] = [
    each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)
]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Size(NamedTuple):
    """How large a chart is drawn, in pixels, and how many labels it has room for."""

    name: str
    width: int
    height: int
    labels: int
    ticks: int
    characters: int


SIZES: Final = (Size("wide", 720, 250, 8, 5, 30), Size("narrow", 340, 230, 4, 4, 16))
"""The page shows the one that fits, so that text is as large on a phone."""

BAR_HEIGHT: Final = 34
AXIS_HEIGHT: Final = 44


@dataclass(frozen=True)
class Series:
    """Values of one colour.

    Attributes:
        title: What they are.
        colour: Name of the colour in the style sheet.
        values: One for each label.
    """

    title: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """What a chart shows.

    Attributes:
        title: The title, with the unit of the values.
        head: The head of the labels' column in the table beside the chart.
        labels: One for each column or bar.
        series: The values, stacked in this order.
        show: A function that returns a value as text.
        min_step: Minimum step of the axis, such as 1 for what is counted.
        is_horizontal: Whether the values are bars, from top to bottom, not columns.
    """

    title: str
    head: str
    labels: Sequence[str]
    series: Sequence[Series]
    show: Callable[[float], str]
    min_step: float = 0.0
    is_horizontal: bool = False

    def pictures(self) -> Markup:
        """Draw the chart in each size."""
        return Markup("\n").join(map(self._picture, SIZES))

    def _picture(self, size: Size) -> Markup:
        height = size.height
        if self.is_horizontal:
            height = AXIS_HEIGHT + BAR_HEIGHT * len(self.labels)
        highest = max(
            map(sum, zip(*(each.values for each in self.series), strict=True))
        )
        axis = ticks(highest, size.ticks, self.min_step)
        kind = pygal.HorizontalStackedBar if self.is_horizontal else pygal.StackedBar
        chart = kind(
            width=size.width,
            height=height,
            show_legend=False,
            margin=8,
            spacing=8,
            js=[],
            css=[],
            no_prefix=True,
            disable_xml_declaration=True,
            value_formatter=self.show,
            truncate_label=-1,
            y_labels=axis,
            range=(0, axis[-1]),
            **(self._bars if self.is_horizontal else self._columns)(size),
        )
        for each in self.series:
            values = each.values[::-1] if self.is_horizontal else each.values
            chart.add(visible(each.title), list(values))
        tree = ET.fromstring(chart.render())  # noqa: S314 - written by pygal
        _prepare(tree, size.name, self.title, [each.colour for each in self.series])
        return Markup(ET.tostring(tree, encoding="unicode"))  # noqa: S704 - escaped by ElementTree

    def _columns(self, size: Size) -> dict[str, Any]:
        every = -(-len(self.labels) // size.labels)
        return {
            "x_labels": [
                "" if index % every else visible(label)
                for index, label in enumerate(self.labels)
            ]
        }

    def _bars(self, size: Size) -> dict[str, Any]:
        return {"x_labels": [_cut(each, size.characters) for each in self.labels[::-1]]}


def ticks(highest: float, max_steps: int, min_step: float = 0.0) -> list[float]:
    """Return round values for an axis, from zero to the highest or above.

    Args:
        highest: The highest value.
        max_steps: Maximum number of steps.
        min_step: Minimum of a step.
    """
    step = max(highest / max_steps, min_step)
    power = 10.0 ** floor(log10(step))
    step = next(
        factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999
    )
    steps = max(1, ceil(highest / step - 0.001))
    return [step * index for index in range(steps + 1)]


def _cut(text: str, characters: int) -> str:
    text = visible(text)
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


LEFT_OUT: Final = frozenset({"desc", "script", "style", "title"})


def _prepare(svg: ET.Element, size: str, title: str, colours: Sequence[str]) -> None:
    """Remove what a part of a page does not need, and set classes for its styles."""
    for parent in svg.iter():
        parent.tag = parent.tag.rpartition("}")[2]
        parent.attrib.pop("style", None)  # the policy of the page forbids them
        for child in [*parent]:
            if child.tag.rpartition("}")[2] in LEFT_OUT:
                parent.remove(child)
        for index, colour in enumerate(colours):
            marks = parent.get("class", "").split()
            if f"serie-{index}" in marks and "series" in marks:
                parent.set("class", f"series {colour}")
    for name in ("id", "width", "height"):
        svg.attrib.pop(name, None)
    svg.set("class", f"chart {size}")
    svg.set("role", "img")
    svg.set("aria-label", title)
