"""The report's figures as inline SVG. Colours are classes of ``assets/report.css``: one drawing for light, dark, paper.

All text in them is fixed or a number, so nothing from the data can reach the markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from domain.evaluation_report import EvaluationCurves, EvaluationReport, ReliabilityBin
from domain.words import tr

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 440, 400
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 14, 48
#: A curve is drawn with so many points at most; more than a pixel apart nobody sees.
CURVE_POINTS = 300
SPREAD_BINS = 25


class UnitPlot:
    """A plane whose both axes run from 0 to 1, to draw on."""

    def __init__(self, name: str, x_label: str, y_label: str, height: int = HEIGHT) -> None:
        self._name, self._height = name, height
        self._parts: list[str] = []
        for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            x, y = self.x(tick), self.y(tick)
            self._add(f'<line class="grid" x1="{x}" y1="{self.y(0)}" x2="{x}" y2="{self.y(1)}"/>')
            self._add(f'<line class="grid" x1="{self.x(0)}" y1="{y}" x2="{self.x(1)}" y2="{y}"/>')
            self.text(x, self.y(0) + 18, f"{tick:.1f}", "tick middle")
            self.text(self.x(0) - 8, y + 4, f"{tick:.1f}", "tick end")
        self.text(self.x(0.5), height - 8, x_label, "axis middle")
        middle = self.y(0.5)
        self._add(f'<text class="axis middle" transform="translate(13 {middle}) rotate(-90)">{y_label}</text>')

    def x(self, value: float) -> float:
        """From 0..1 to SVG units."""
        return round(LEFT + value * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """From 0..1 to SVG units, upwards."""
        return round(self._height - BOTTOM - value * (self._height - TOP - BOTTOM), 1)

    def line(self, xs: Iterable[float], ys: Iterable[float], css: str, close: bool = False) -> None:
        """A path through points of the plane."""
        points = "L".join(f"{self.x(x)} {self.y(y)}" for x, y in zip(xs, ys, strict=True))
        self._add(f'<path class="{css}" d="M{points}{"Z" if close else ""}"/>')

    def box(self, left: float, right: float, low: float, high: float, css: str) -> None:
        """A filled rectangle in the plane."""
        width, height = self.x(right) - self.x(left), self.y(low) - self.y(high)
        self._add(
            f'<rect class="{css}" x="{self.x(left)}" y="{self.y(high)}" width="{width:.1f}" height="{height:.1f}"/>'
        )

    def dot(self, x: float, y: float, css: str, radius: float = 5) -> None:
        """A point of the plane."""
        self._add(f'<circle class="{css}" cx="{self.x(x)}" cy="{self.y(y)}" r="{radius}"/>')

    def text(self, x: float, y: float, words: str, css: str) -> None:
        """Words at SVG units."""
        self._add(f'<text class="{css}" x="{x}" y="{y}">{words}</text>')

    def note(self, x: float, y: float, words: str, css: str = "note") -> None:
        """Words at a point of the plane, beside it or, near the right border, before it."""
        if x > 0.6:
            self.text(self.x(x) - 11, self.y(y) + 4, words, f"{css} end")
        else:
            self.text(self.x(x) + 11, self.y(y) + 4, words, css)

    def svg(self) -> Markup:
        """The drawing."""
        body = "".join(self._parts)
        return Markup(
            f'<svg viewBox="0 0 {WIDTH} {self._height}" role="img" aria-label="{self._name}" '
            f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
        )

    def _add(self, part: str) -> None:
        self._parts.append(part)


def draw(report: EvaluationReport, curves: EvaluationCurves) -> dict[str, Markup]:
    """The figures by name; those that the patches do not allow are left out."""
    drawn = {}
    if curves.roc is not None and curves.precision_recall is not None:
        drawn["roc"] = roc(report, *curves.roc)
        drawn["precision_recall"] = precision_recall(report, *curves.precision_recall)
    if report.n:
        drawn["reliability"] = reliability(curves.reliability)
        drawn["spread"] = spread(curves, report.threshold, report.band)
    return drawn


def roc(report: EvaluationReport, false_alarms: Floats, found: Floats) -> Markup:
    """Sensitivity over 1 − specificity, arrays (K,), and where the threshold stands on the curve."""
    plot = UnitPlot(tr("ROC curve"), tr("1 − specificity"), tr("sensitivity"))
    xs, ys = _thinned(false_alarms, found)
    plot.line([0, 1], [0, 1], "chance")
    plot.line([*xs, 1.0], [*ys, 0.0], "area", close=True)
    plot.line(xs, ys, "curve")
    if report.specificity is not None and report.sensitivity is not None:
        _mark_threshold(plot, 1 - report.specificity, report.sensitivity)
    return plot.svg()


def precision_recall(report: EvaluationReport, sensitivities: Floats, precisions: Floats) -> Markup:
    """Precision over sensitivity, arrays (K,), and where the threshold stands on the curve."""
    plot = UnitPlot(tr("Precision-recall curve"), tr("sensitivity (recall)"), tr("precision"))
    xs, ys = _thinned(sensitivities, precisions)
    prevalence = report.classes["tumour"] / report.n
    plot.line([0, 1], [prevalence, prevalence], "chance")
    plot.line([0.0, *xs, 1.0], [0.0, *ys, 0.0], "area", close=True)
    plot.line(xs, ys, "curve")
    if report.sensitivity is not None and report.precision is not None:
        _mark_threshold(plot, report.sensitivity, report.precision)
    return plot.svg()


def reliability(bins: Sequence[ReliabilityBin | None]) -> Markup:
    """Frequency of tumour over its stated probability, with intervals; below, how many patches."""
    plot = UnitPlot(tr("Reliability diagram"), tr("stated probability of tumour"), tr("share that is tumour"))
    most = max((part.count for part in bins if part), default=1)
    for place, part in enumerate(bins):
        share = 0.22 * part.count / most if part else 0.0
        plot.box((place + 0.06) / len(bins), (place + 0.94) / len(bins), 0, share, "count")
    plot.line([0, 1], [0, 1], "chance")
    filled = [part for part in bins if part]
    for part in filled:
        plot.line([part.stated, part.stated], part.interval, "bar")
    plot.line([part.stated for part in filled], [part.found for part in filled], "curve")
    for part in filled:
        plot.dot(part.stated, part.found, "dot", 4)
    return plot.svg()


def spread(curves: EvaluationCurves, threshold: float, band: tuple[float, float]) -> Markup:
    """How the probabilities of both classes lie about the threshold and the uncertain band."""
    plot = UnitPlot(tr("Probabilities by class"), tr("probability of tumour"), tr("share of its class (square root)"))
    plot.box(*band, 0, 1, "band")
    edges = np.linspace(0, 1, SPREAD_BINS + 1)
    for css, probabilities in (("normals", curves.normal), ("tumours", curves.tumour)):
        counts, _ = np.histogram(probabilities, edges)
        # The square root keeps the few between the two heaps visible, and they are what the band is about.
        heights = np.sqrt(counts / max(1, counts.sum()))
        xs, ys = np.repeat(edges, 2), np.concatenate([[0], np.repeat(heights, 2), [0]])
        plot.line(xs, ys, css, close=True)
    plot.line([threshold, threshold], [0, 1], "threshold")
    return plot.svg()


def _mark_threshold(plot: UnitPlot, x: float, y: float) -> None:
    plot.dot(x, y, "mark", 5.5)
    plot.note(x, y - 0.055, tr("at the threshold"))


def _thinned(xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Points about evenly spaced along the curve, the first and the last among them."""
    length = np.append(0, np.cumsum(np.abs(np.diff(xs)) + np.abs(np.diff(ys))))
    chosen = np.unique(np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS)).clip(max=len(xs) - 1))
    return xs[chosen], ys[chosen]
