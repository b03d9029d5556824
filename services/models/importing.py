"""Take in a model that was trained elsewhere, and refuse one whose class order the patches at hand contradict.

A foreign file states an order of classes that nobody has checked; with it wrong, every answer is the opposite of the
truth at full confidence. So an import demands a small labelled set, and believes the order only if the set supports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.datasets import DatasetReader, StoredPatches
from domain.errors import BadModelPackage, BadTrainingData
from domain.model_package import (
    Appearance,
    CardStatement,
    Evaluation,
    ImportSource,
    ModelCard,
    Storage,
    TrainingFacts,
)
from domain.ports import ProgressCallback
from domain.verdict import OperatingPoint
from services.models.catalogue import NAMING_RULE, is_package_name
from services.models.metrics import ScoredPatches, area_under_roc, auc_interval, wilson_interval
from services.models.packaging import require_patch_size
from services.models.ports import PackageNetworks

#: Fewer patches say nothing about a class order.
FEWEST = 20
#: More would only take time: the order of the classes is long decided.
MOST = 5000
#: Patches that are kept to learn from them what the model's patches look like.
KEPT = 1000
_BATCH = 32
_UNCHOSEN = "not chosen: raw scores, read at 0.5; histovox calibrate fits them to your own patches"
_UNPROVEN = "the class order is not proven"


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
class ImportedModel:
    """A package that now lies in ``folder``; ``measured`` is how the stored weights did on the labelled set."""

    folder: Path
    card: ModelCard
    measured: Evaluation
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Scores:
    """Margins of the weights as given and as stored, and labels, each (N,); ``kept`` are the first patches."""

    given: NDArray[np.float32]
    stored: NDArray[np.float32]
    labels: NDArray[np.int64]
    kept: NDArray[np.uint8]


def import_model(
    source: Path,
    folder: Path,
    options: ImportOptions,
    networks: PackageNetworks,
    datasets: DatasetReader,
    on_progress: ProgressCallback | None = None,
) -> ImportedModel:
    """Check the model at ``source`` on the labelled set and write it as a package, whole or not at all.

    ``on_progress`` is called with the patches that are done and how many there are.

    Raises: BadModelPackage for a source with faults, and for a class order that the labelled set contradicts or leaves
    open; BadTrainingData for a labelled set that cannot be used; RunNotSaved when the package cannot be written.
    """
    if not is_package_name(folder.name):
        raise BadModelPackage(f"{folder.name!r} is no name for a model: {NAMING_RULE}.")
    if folder.exists() and not options.replace:
        raise BadModelPackage(f"There is a model called {folder.name!r} already; --replace puts this one in its place.")
    labelled = datasets.open_images(options.images, options.labels)
    left_out = labelled.report.left_out()
    _require_enough(labelled.patches, left_out)
    model = networks.read_source(
        source, config=options.config, architecture=options.architecture, positive=options.positive
    )
    require_patch_size(model.config, folder.name, labelled.patches.patch_px)
    scores = _score(model, labelled.patches, options.storage, networks, on_progress)
    measured = _evaluated(scores, model.card.operating_point if model.card else OperatingPoint())
    notes = [*model.notes, *left_out, *_doubts(model, measured, options)]
    difference = area_under_roc(scores.stored, scores.labels) - area_under_roc(scores.given, scores.labels)
    appearance = model.card.appearance if model.card else _appearance(scores.kept, networks)
    card = networks.write_package(
        folder,
        model.network,
        model.config,
        _statement(folder.name, model, options, measured, appearance, notes),
        options.storage,
        f"AUC {difference:+.4f} against {model.weights.name} as given, on {measured.n} patches",
    )
    return ImportedModel(folder, card, measured, tuple(notes))


def _require_enough(patches: StoredPatches, left_out: list[str]) -> None:
    positive = int(patches.labels.sum())
    negative = len(patches) - positive
    if len(patches) < FEWEST or not positive or not negative:
        why = "".join(f"\n  - {line}" for line in left_out)
        raise BadTrainingData(
            f"An import needs at least {FEWEST} labelled patches with both classes among them; {positive} of the "
            f"positive class (label 1) and {negative} of the others (label 0) can be used.{why}"
        )


def _score(
    model: ImportSource,
    patches: StoredPatches,
    storage: Storage,
    networks: PackageNetworks,
    on_progress: ProgressCallback | None,
) -> _Scores:
    stored = networks.as_stored(model.network, storage)
    # Of very many, evenly spread ones.
    chosen = np.linspace(0, len(patches) - 1, min(len(patches), MOST)).astype(int)
    margins: dict[str, list[NDArray[np.float32]]] = {"given": [], "stored": []}
    kept = []
    for start in range(0, len(chosen), _BATCH):
        batch = np.ascontiguousarray(patches.read(chosen[start : start + _BATCH].tolist()).transpose(0, 2, 3, 1))
        for name, network in (("given", model.network), ("stored", stored)):
            margins[name].append(networks.network_margins(network, model.config, model.positive, batch))
        if start < KEPT:
            kept.append(batch)
        if on_progress is not None:
            on_progress(start + len(batch), len(chosen))
    given, ours = np.concatenate(margins["given"]), np.concatenate(margins["stored"])
    if not np.isfinite(ours).all():
        raise BadModelPackage(f"{model.weights.name} answers {int((~np.isfinite(ours)).sum())} patches with no number.")
    return _Scores(given, ours, patches.labels[chosen], np.concatenate(kept))


def _evaluated(scores: _Scores, point: OperatingPoint) -> Evaluation:
    """All that a card states. The intervals hold for few patches, where a bootstrap's would be too narrow."""
    scored = ScoredPatches(scores.stored, scores.labels, point)
    measures = {name: round(value, 4) for name, value in scored.measures().items()}
    positives = int(scored.tumour.sum())
    low, high = auc_interval(measures["auc"], positives, len(scored) - positives)
    wide, narrow = wilson_interval(measures["accuracy"], len(scored))
    return Evaluation(
        protocol=f"the {len(scored)} labelled patches of the import",
        n=len(scored),
        auc_interval=(round(low, 4), round(high, 4)),
        accuracy_interval=(round(wide, 4), round(narrow, 4)),
        **{name: measures[name] for name in ("auc", "accuracy", "sensitivity", "specificity", "ece", "nll")},
    )


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
        notes.append(f"{_UNPROVEN}: {found}")
    stated = model.card.evaluation if model.card else None
    if stated and high < stated.auc_interval[0]:
        notes.append(f"{found}; the card states {stated.auc:.3f} on other patches")
    return notes


def _statement(
    name: str,
    model: ImportSource,
    options: ImportOptions,
    measured: Evaluation,
    appearance: Appearance,
    notes: list[str],
) -> CardStatement:
    """The card that came with the model, or one that states what is unknown; with the doubts that arose here."""
    doubts = tuple(f"{note[0].upper()}{note[1:]}." for note in notes if note.startswith(_UNPROVEN))
    stated = {field: value for field in ("title", "licence") if (value := getattr(options, field))}
    if (card := model.card) is not None:
        evaluation = measured
        if card.evaluation is not None:  # it stays, with what was seen here beside it
            here = measured.model_dump(mode="json", exclude={"extra"})
            evaluation = card.evaluation.model_copy(update={"extra": card.evaluation.extra | {"at_import": here}})
        return card.model_copy(update={"evaluation": evaluation, "limits": (*card.limits, *doubts), **stated})
    unknown = (
        f"Imported: nothing is known of its training. Its numbers come from {measured.n} patches, which may be "
        "ones that it was trained on."
    )
    return CardStatement(
        **{"title": name, "licence": "not stated by the source", **stated},
        positive_class=model.positive,
        training=TrainingFacts(
            data="not stated by the source",
            patches=0,
            epochs=0,
            started_from=f"imported from {model.weights.name}, SHA-256 {model.sha256}",
        ),
        operating_point=OperatingPoint(),
        operating_point_protocol=_UNCHOSEN,
        appearance=appearance,
        evaluation=measured,
        limits=(*doubts, unknown),
    )


def _appearance(patches: NDArray[np.uint8], networks: PackageNetworks) -> Appearance:
    """Learnt from every second labelled patch with tissue; the others set the threshold."""
    tissue = np.concatenate(
        [part[~networks.is_glass(part)] for part in np.array_split(patches, max(1, len(patches) // 64))]
    )
    try:
        return networks.fit_appearance(tissue[::2], tissue[1::2])
    except ValueError:
        raise BadTrainingData(
            f"Of the labelled patches, {len(tissue)} show tissue. The source has no card of Histovox, so what its "
            "patches look like has to be learnt from these, and that takes at least 100 (50 to learn, 50 to set the "
            "limit)."
        ) from None
