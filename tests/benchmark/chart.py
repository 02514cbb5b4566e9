"""The results as charts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pygal
from figures import possible, records_a_second
from pygal.style import Style
from report import CONTENDERS, RECURRING, in_order

# It serves maps only, but Python before 3.12 warns of it when an import fails.
sys.meta_path[:] = [
    each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)
]

if TYPE_CHECKING:
    from pathlib import Path

STYLE = Style(
    background="white",
    plot_background="white",
    font_family="sans-serif",
    colors=("#2a6f97", "#61a5c2", "#a9d6e5"),
    value_font_size=11,
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=13,
)

LOGARITHMIC = {
    "logarithmic": True,
    "range": (1, 200_000),
    "zero": 1,
    "y_labels": [1, 10, 100, 1_000, 10_000, 100_000],
}


def draw(figures: dict[str, Any], folder: Path) -> None:
    """Draw the contenders by latency, and recurring people beside what is possible.

    Args:
        figures: The figures of the parts; of a part that is missing, nothing is drawn.
        folder: Folder of the charts.
    """
    if "contenders" in figures:
        _draw_contenders(figures["contenders"], folder)
    if "recurring" in figures:
        _draw_recurring(figures["recurring"], folder)


def _draw_contenders(contenders: dict[str, Any], folder: Path) -> None:
    titles = in_order(contenders["200"], CONTENDERS)
    _bars(
        folder / "contenders.svg",
        "Records a second, by the latency of the server",
        titles,
        {
            f"{latency} ms": [records_a_second(each[title]) for title in titles]
            for latency, each in contenders.items()
        },
        LOGARITHMIC,
    )


def _draw_recurring(recurring: dict[str, Any], folder: Path) -> None:
    runs = recurring["200"]
    names = in_order(runs, RECURRING)
    _bars(
        folder / "recurring.svg",
        "Records a second at 200 ms, and what is possible",
        names,
        {
            "measured": [records_a_second(runs[name]) for name in names],
            "possible": [possible(recurring, name, 200) for name in names],
        },
        {"range": (0, 40_000), "y_labels": range(0, 40_001, 10_000)},
    )


def _bars(
    path: Path,
    title: str,
    labels: list[str],
    series: dict[str, list[float]],
    scale: dict[str, Any],
) -> None:
    chart = pygal.HorizontalBar(
        style=STYLE,
        js=[],
        disable_xml_declaration=True,
        width=860,
        height=90 + 25 * len(series) * len(labels),
        margin=12,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(series),
        print_values=True,
        show_y_guides=False,
        value_formatter=lambda value: f"{value:,.0f}",
        title=title,
        x_labels=labels[::-1],
        **scale,
    )
    for name, values in series.items():
        chart.add(name, [round(value) for value in reversed(values)])
    path.write_text(chart.render(), encoding="utf-8")
