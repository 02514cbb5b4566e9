"""The results as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pygal
from pygal.style import Style
from report import records_a_second

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


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw records per second by contender and latency.

    Args:
        figures: The results.
        path: Path of the SVG.
    """
    everything = {"0": figures["contenders"], **figures["latencies"]}
    titles = [
        title
        for title in figures["contenders"]
        if all(title in each for each in everything.values())
    ]
    chart = pygal.HorizontalBar(
        logarithmic=True,
        range=(1, 200_000),
        zero=1,
        style=STYLE,
        js=[],
        disable_xml_declaration=True,
        width=860,
        height=90 + 75 * len(titles),
        margin=12,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        print_values=True,
        show_y_guides=False,
        y_labels=[1, 10, 100, 1_000, 10_000, 100_000],
        value_formatter=lambda value: f"{value:,.0f}",
        title="Records a second, by the latency of the server",
    )
    chart.x_labels = list(reversed(titles))
    for latency, each in everything.items():
        speeds = [round(records_a_second(each[title])) for title in reversed(titles)]
        chart.add(f"{latency} ms", speeds)
    path.write_text(chart.render(), encoding="utf-8")
