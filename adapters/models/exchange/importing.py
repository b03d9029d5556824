"""Take in a model that was trained elsewhere, and refuse one whose class order the patches at hand contradict.

A foreign file states an order of classes that nobody has checked; with it wrong, every answer is the opposite of the
truth at full confidence. So an import demands a small labelled set, and believes the order only if the set supports it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from adapters.models.appearance import fit_appearance, is_glass
from adapters.models.exchange.labelled import LabelledSet, read_labelled
from adapters.models.exchange.measures import area_under_roc, evaluate
from adapters.models.exchange.source import ImportSource, read_source
from adapters.models.package_writer import write_package
from adapters.models.preprocess import margins_of, prepare
from adapters.models.storage import as_stored
from domain.errors import BadModelPackage, BadTrainingData, RunNotSaved
from domain.model_package import Appearance, Evaluation, ModelCard, Storage, TrainingFacts
from domain.verdict import OperatingPoint

#: Patches that are kept to learn from them what the model's patches look like.
KEPT = 1000
_UNCHOSEN = "not chosen: raw scores, read at 0.5; histovox calibrate fits them to your own patches"


@dataclass(frozen=True)
class ImportOptions:
    """What the person who imports says; None: as the source says, else as the docstring of each says."""

    images: Path
    labels: Path
    config: Path | None = None
    architecture: str | None = None
    positive: str | None = None
    storage: Storage = "bf16"
    title: str | None = None
    """Default: the folder's name."""
    licence: str | None = None
    """Default: "not stated by the source"."""
    replace: bool = False
    accept_undecided: bool = False


@dataclass(frozen=True)
class Imported:
    """A package that now lies in ``folder``; ``measured`` is how the stored weights did on the labelled set."""

    folder: Path
    card: ModelCard
    measured: Evaluation
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Scored:
    given: NDArray[np.float32]
    stored: NDArray[np.float32]
    labels: NDArray[np.int64]
    kept: NDArray[np.uint8]


def import_model(
    source: Path,
    folder: Path,
    options: ImportOptions,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    threads: int | None = None,
) -> Imported:
    """Check the model at ``source`` on the labelled set and write it as a package, whole or not at all.

    ``progress`` is told the patches that are done and how many there are. ``threads`` is for the whole process.

    Raises: BadModelPackage for a source with faults, and for a class order that the labelled set contradicts or leaves
    open; BadTrainingData for a labelled set that cannot be used; RunNotSaved when the package cannot be written.
    """
    _check_name(folder, options.replace)
    if threads:
        torch.set_num_threads(threads)
    labelled = read_labelled(options.images, options.labels)
    model = read_source(source, config=options.config, architecture=options.architecture, positive=options.positive)
    scored = _score(model, labelled, options.storage, progress)
    point = model.card.operating_point if model.card else OperatingPoint()
    measured = evaluate(scored.stored, scored.labels, point, f"the {len(scored.labels)} labelled patches of the import")
    notes = [*model.notes, *labelled.notes, *_doubts(model, measured, options)]
    card = _write(folder, model, options, measured, scored, notes)
    return Imported(folder, card, measured, tuple(notes))


def _check_name(folder: Path, replace: bool) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", folder.name):
        raise BadModelPackage(f"{folder.name!r} is no name for a model: letters, digits, dots, - and _, at most 64.")
    if folder.exists() and not replace:
        raise BadModelPackage(f"There is a model called {folder.name!r} already; --replace puts this one in its place.")


def _score(
    model: ImportSource, labelled: LabelledSet, storage: Storage, progress: Callable[[int, int], None]
) -> _Scored:
    stored = as_stored(model.network, storage)
    given_parts, stored_parts, label_parts, kept = [], [], [], []
    done = 0
    for patches, labels in labelled.batches(model.config.patch_size_pixels):
        given_parts.append(_margins(model, model.network, patches))
        stored_parts.append(_margins(model, stored, patches))
        label_parts.append(labels)
        if done < KEPT:
            kept.append(patches)
        done += len(labels)
        progress(done, len(labelled.paths))
    given, ours = np.concatenate(given_parts), np.concatenate(stored_parts)
    if not np.isfinite(ours).all():
        raise BadModelPackage(f"{model.weights.name} answers {int((~np.isfinite(ours)).sum())} patches with no number.")
    return _Scored(given, ours, np.concatenate(label_parts), np.concatenate(kept))


def _margins(model: ImportSource, network: nn.Module, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    try:
        with torch.inference_mode():
            logits = network(prepare(torch.from_numpy(patches), model.config.preprocessing()))
            margins: NDArray[np.float32] = margins_of(logits, model.config.class_names.index(model.positive)).numpy()
    except RuntimeError as error:
        size = model.config.patch_size_pixels
        raise BadModelPackage(
            f"{model.config.architecture} cannot look at patches of {size} × {size} px after this transform: {error}"
        ) from None
    return margins


def _doubts(model: ImportSource, measured: Evaluation, options: ImportOptions) -> list[str]:
    """What speaks against the model. Raises BadModelPackage where that is its class order."""
    low, high = measured.auc_interval
    found = (
        f"on {measured.n} labelled patches the AUC of {model.positive!r} is {measured.auc:.3f} ({low:.3f}–{high:.3f})"
    )
    if high < 0.5:
        raise BadModelPackage(
            f"The labelled set contradicts the class order of {model.weights.name}: {found}, so patches labelled 1 "
            "score lower than the others. Probably the class_names of config.json stand in the wrong order, --positive "
            f"names the wrong class, or 1 means something else in {options.labels.name}."
        )
    notes = []
    if low <= 0.5:
        if not options.accept_undecided:
            raise BadModelPackage(
                f"The labelled set leaves open whether the class order of {model.weights.name} is right: {found}. Give "
                "more labelled patches, or say --accept-undecided to import it with that doubt on its card."
            )
        notes.append(f"the class order is not proven: {found}")
    stated = model.card.evaluation if model.card else None
    if stated and high < stated.auc_interval[0]:
        notes.append(f"{found}; the card states {stated.auc:.3f} on other patches")
    return notes


def _write(
    folder: Path, model: ImportSource, options: ImportOptions, measured: Evaluation, scored: _Scored, notes: list[str]
) -> ModelCard:
    card = model.card
    difference = area_under_roc(scored.stored, scored.labels) - area_under_roc(scored.given, scored.labels)
    stored = f"AUC {difference:+.4f} against {model.weights.name} as given, on {measured.n} patches"
    appearance = card.appearance if card else _appearance(scored.kept)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return write_package(
            folder,
            network=model.network,
            config=model.config,
            title=options.title or (card.title if card else folder.name),
            licence=options.licence or (card.licence if card else "not stated by the source"),
            positive_class=model.positive,
            training=card.training if card else _unknown_training(model),
            operating_point=card.operating_point if card else OperatingPoint(),
            operating_point_protocol=card.operating_point_protocol if card else _UNCHOSEN,
            calibration_ids=card.calibration_ids if card else None,
            appearance=appearance,
            evaluation=_evaluation(card, measured),
            storage=options.storage,
            measured_difference=stored,
            limits=(*(card.limits if card else ()), *_limits(card, measured, notes)),
            intended_use=card.intended_use if card else "",
        )
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunNotSaved(
            f"The package could not be written to {folder} ({reason}). Nothing was changed there; free some space or "
            "choose another HISTOVOX_MODELS_DIR, and import again."
        ) from error


def _evaluation(card: ModelCard | None, measured: Evaluation) -> Evaluation:
    """A card's own evaluation stays, with what was seen here beside it; otherwise there is only the latter."""
    if card is None or card.evaluation is None:
        return measured
    here = measured.model_dump(mode="json", exclude={"extra"})
    return card.evaluation.model_copy(update={"extra": card.evaluation.extra | {"at_import": here}})


def _limits(card: ModelCard | None, measured: Evaluation, notes: list[str]) -> list[str]:
    doubts = [note[0].upper() + note[1:] + "." for note in notes if note.startswith("the class order is not proven")]
    if card is None:
        doubts.append(
            f"Imported: nothing is known of its training. Its numbers come from {measured.n} patches, which may be "
            "ones that it was trained on."
        )
    return doubts


def _unknown_training(model: ImportSource) -> TrainingFacts:
    came = f"{model.weights.name}, SHA-256 {model.sha256}"
    return TrainingFacts(data="not stated by the source", patches=0, epochs=0, started_from=f"imported from {came}")


def _appearance(patches: NDArray[np.uint8]) -> Appearance:
    """What the labelled patches look like: every second one with tissue to learn from, the others for the threshold."""
    tissue = np.concatenate([part[~is_glass(part)] for part in np.array_split(patches, max(1, len(patches) // 64))])
    try:
        return fit_appearance(tissue[::2], tissue[1::2])
    except ValueError:
        raise BadTrainingData(
            f"Of the labelled patches, {len(tissue)} show tissue. The source has no card of Histovox, so what its "
            "patches look like has to be learnt from these, and that takes at least 100 (50 to learn, 50 to set the "
            "limit)."
        ) from None
