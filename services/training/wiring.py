"""From a finished run to a model package: evaluate the weights as they are stored, choose how they are read, ship."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn

from adapters.vision.appearance import Appearance, fit_appearance
from adapters.vision.package import PackageConfig, Storage, TrainingFacts, Transform, write_package
from adapters.vision.package_format import Evaluation
from adapters.vision.storage import as_stored
from services.training.data import LabelledPatches
from services.training.evaluation import Report, evaluate
from services.training.loop import MEAN, STD, predict
from services.training.metrics import area_under_roc
from services.training.recipe import Recipe

log = logging.getLogger(__name__)

TITLES = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnet152": "ResNet-152",
}
#: A level-2 pixel of CAMELYON16, which PatchCamelyon's patches are cut from.
UM_PER_PX = 0.972
LIMITS = (
    "Trained on H&E-stained sentinel lymph nodes from two Dutch centres; other organs and scanners are untested.",
    "The label is about the centre 32×32 pixels of a 96×96 patch at about 0.97 µm a pixel; other scales are resampled.",
    "Over many patches of a large image the most suspicious one is picked, so a false alarm somewhere grows likelier.",
    "Intervals resample patches, not slides, since slides are unknown: the true uncertainty is larger.",
)
INTENDED_USE = "An aid for people who can read the image themselves; research and teaching. Not a medical device."


def ship(
    network: nn.Module,
    recipe: Recipe,
    training: LabelledPatches,
    held_out: LabelledPatches,
    folder: Path,
    *,
    data_name: str,
    started_from: str,
    storage: Storage,
    draws: int = 1000,
) -> Report:
    """Write ``folder`` as a package of ``network`` and return what was measured on ``held_out``."""
    stored = as_stored(network, storage).to(memory_format=torch.channels_last)
    margins = predict(stored, held_out.pixels)
    report = evaluate(margins, held_out.labels, held_out.ids, draws)
    as_trained = area_under_roc(predict(network, held_out.pixels), held_out.labels)
    difference = report.figures["auc"].value - as_trained
    write_package(
        folder,
        network=network,
        config=_config(recipe.architecture),
        title=TITLES.get(recipe.architecture, recipe.architecture),
        licence="Apache-2.0 (weights); trained on PatchCamelyon, CC0",
        positive_class="tumour",
        training=TrainingFacts(
            data=data_name,
            recipe=recipe.model_dump(mode="json"),
            patches=len(training),
            epochs=recipe.epochs,
            started_from=started_from,
        ),
        operating_point=report.operating_point,
        operating_point_protocol=(
            f"on {report.n_calibration:,} held-out patches (chosen by id, none of them reported on): temperature and "
            "bias by least negative log-likelihood; threshold for a sensitivity of 0.95; the uncertain band from a "
            "sensitivity of 0.98 to a specificity of 0.95"
        ),
        appearance=_appearance(training, held_out),
        evaluation=_evaluation(report),
        storage=storage,
        measured_difference=f"AUC {difference:+.4f} against the weights as trained, on {len(held_out):,} patches",
        limits=LIMITS,
        intended_use=INTENDED_USE,
    )
    return report


def _config(architecture: str) -> PackageConfig:
    return PackageConfig(
        architecture=architecture,
        num_classes=2,
        patch_size_pixels=96,
        spacing_um_px=UM_PER_PX,
        class_names=("normal", "tumour"),
        transform=(
            Transform(name="ToTensor"),
            Transform(name="Normalize", arguments={"mean": list(MEAN), "std": list(STD)}),
        ),
    )


def _evaluation(report: Report) -> Evaluation:
    figures = report.figures
    return Evaluation(
        protocol="PCam validation patches, slides not seen in training",
        n=report.n,
        auc=figures["auc"].value,
        auc_interval=figures["auc"].interval,
        accuracy=figures["accuracy_at_half"].value,
        accuracy_interval=figures["accuracy_at_half"].interval,
        sensitivity=figures["sensitivity_at_half"].value,
        specificity=figures["specificity_at_half"].value,
        ece=figures["ece"].value,
        nll=figures["nll"].value,
        extra={
            "sensitivity_and_specificity": "at probability 0.5 before calibration, all patches",
            "n_evaluation": report.n_evaluation,
            "n_calibration": report.n_calibration,
            "on_the_evaluation_half": {
                name: {"value": figures[name].value, "interval": list(figures[name].interval)}
                for name in (
                    "ece",
                    "nll",
                    "brier",
                    "sensitivity",
                    "specificity",
                    "accuracy",
                    "uncertain_share",
                    "accuracy_when_certain",
                )
            },
        },
    )


def _appearance(training: LabelledPatches, held_out: LabelledPatches) -> Appearance:
    chosen = np.random.default_rng(0).permutation(len(training))[:8000]
    return fit_appearance(_as_images(training.subset(torch.from_numpy(chosen))), _as_images(held_out))


def _as_images(patches: LabelledPatches) -> np.ndarray:
    return np.ascontiguousarray(patches.pixels.permute(0, 2, 3, 1).numpy())
