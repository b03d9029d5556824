"""Labelled patches from the layouts in which people have them, behind the one port ``LabelledPatches``.

``open_split`` recognises the layout: PCam's HDF5 files, Kaggle's folder with a labels file, or class folders. What is
wrong with single images is reported and not fatal; a set of which nothing usable remains raises ``BadTrainingData``.
"""

from services.training.reading.opening import (
    Dataset,
    available_splits,
    open_images,
    open_split,
    require_both_classes,
)
from services.training.reading.report import DataReport, Names

__all__ = ["DataReport", "Dataset", "Names", "available_splits", "open_images", "open_split", "require_both_classes"]
