"""Evaluation reports as HTML, training and learning curves as pictures."""

from adapters.reports.html_report import html_report
from adapters.reports.plots import draw_learning_curve, draw_training_curves

__all__ = ["draw_learning_curve", "draw_training_curves", "html_report"]
