"""Training and learning curves as pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from domain.evaluation_report import LearningCurve

INK, SOFT, LINE = "#1f2933", "#64707d", "#d9dee3"
TRAINING, HELD_OUT = "#2f6fab", "#c0553a"


def draw_training_curves(history: Sequence[Mapping[str, float]], title: str) -> bytes:
    """A PNG of loss, accuracy and AUC by epoch (the paper's figure 5); ``history`` has one row an epoch."""
    figure = Figure(figsize=(11, 3.6), dpi=120, facecolor="white", layout="constrained")
    figure.suptitle(title, color=INK, fontsize=11, x=0.012, ha="left")
    loss, accuracy, auc = figure.subplots(1, 3)
    _panel(loss, history, "Loss", {"loss": ("training", TRAINING), "tuning_loss": ("tuning half", HELD_OUT)})
    _panel(
        accuracy,
        history,
        "Accuracy at 0.5",
        {"accuracy": ("training, augmented", TRAINING), "tuning_accuracy": ("tuning half", HELD_OUT)},
    )
    _panel(auc, history, "AUC", {"tuning_auc": ("tuning half", HELD_OUT)})
    return _png(figure)


def draw_learning_curve(curve: LearningCurve, title: str) -> bytes:
    """A PNG: measured points with their intervals, the law, and its prediction."""
    figure = Figure(figsize=(7.2, 4.0), dpi=140, facecolor="white", layout="constrained")
    axes = figure.subplots()
    sizes = np.array([point.n_patches for point in curve.points])
    aucs = np.array([point.auc for point in curve.points])
    bars = np.array([(point.auc - point.auc_low, point.auc_high - point.auc) for point in curve.points]).T.clip(0)
    grid = np.geomspace(sizes[0], max(curve.n_predicted, sizes[-1]), 200)
    law = np.array([curve.auc_at(n) for n in grid])
    known = grid <= sizes[-1]
    axes.plot(grid[known], law[known], color=TRAINING, linewidth=1.8)
    axes.plot(grid[~known], law[~known], color=TRAINING, linewidth=1.8, linestyle=(0, (4, 3)))
    axes.errorbar(sizes, aucs, bars, fmt="o", color=TRAINING, markersize=5, capsize=3, linewidth=1.2, label="measured")
    low, high = curve.auc_interval
    middle = curve.auc_predicted
    axes.errorbar(
        [curve.n_predicted], [middle], [[max(0, middle - low)], [max(0, high - middle)]], fmt="D", color=HELD_OUT,
        markersize=6, capsize=3, linewidth=1.2, label=f"predicted for {curve.n_predicted:,}, not measured",
    )  # fmt: skip
    for size, auc in [*zip(sizes, aucs, strict=True), (curve.n_predicted, middle)]:
        axes.annotate(f"{auc:.3f}", (size, auc), (7, -11), textcoords="offset points", color=INK, fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks([*sizes, curve.n_predicted], [f"{size:,}" for size in [*sizes, curve.n_predicted]])
    axes.minorticks_off()
    axes.margins(x=0.09, y=0.15)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel("training patches", color=SOFT, fontsize=9)
    axes.set_ylabel("AUC", color=SOFT, fontsize=9)
    _style(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=SOFT, loc="lower right")
    return _png(figure)


def _panel(
    axes: Axes, history: Sequence[Mapping[str, float]], title: str, series: Mapping[str, tuple[str, str]]
) -> None:
    epochs = [row["epoch"] for row in history]
    for name, (label, colour) in series.items():
        values = [row[name] for row in history]
        axes.plot(epochs, values, color=colour, label=label, linewidth=1.8, marker="o", markersize=3)
        axes.annotate(f"{values[-1]:.3f}", (epochs[-1], values[-1]), (5, 0), textcoords="offset points", color=colour)
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel("epoch", color=SOFT, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.12)
    _style(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=SOFT)


def _style(axes: Axes) -> None:
    """Small grey ticks, a thin grid, no frame above and on the right."""
    axes.tick_params(colors=SOFT, labelsize=8)
    axes.grid(color=LINE, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
