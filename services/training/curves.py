"""A run's curves as one picture: loss, accuracy and AUC by epoch (the paper's figure 5)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, SOFT, LINE = "#1f2933", "#64707d", "#d9dee3"
TRAINING, HELD_OUT = "#2f6fab", "#c0553a"


def draw_curves(history: Sequence[Mapping[str, float]], title: str) -> bytes:
    """A PNG of three panels; ``history`` has one row an epoch, as ``history.csv``."""
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
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


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
    quieten(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=SOFT)


def quieten(axes: Axes) -> None:
    """Small soft ticks, a hairline grid, no frame above and on the right: the figures of one house."""
    axes.tick_params(colors=SOFT, labelsize=8)
    axes.grid(color=LINE, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
