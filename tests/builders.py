"""Small makers of valid messages; a test names only what it is about."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.workers import WorkerReady
from domain.values import (
    HeatMapGrid,
    ImageResult,
    ModelIdentity,
    Priority,
    Region,
    RegionScore,
    Scale,
    ScaleSource,
    Verdict,
    VerdictWord,
)

if TYPE_CHECKING:
    from domain.model_package import Appearance, ModelCard, PackageConfig

_numbers = itertools.count(1)


def a_model(name: str = "tiny", fingerprint: str = "f" * 64) -> ModelIdentity:
    return ModelIdentity(name=name, title=name.title(), fingerprint=fingerprint, validation="none")


def a_worker(
    worker_id: str = "w1", *, models: Sequence[ModelIdentity] | None = None, credit: int = 2, device: str = "cpu"
) -> WorkerReady:
    return WorkerReady(
        worker_id=worker_id, host="here", device=device, models=tuple(models or (a_model(),)), credit=credit
    )


def an_item(data: bytes = b"image", **changes: object) -> ImageItem:
    number = next(_numbers)
    fields = {
        "item_id": f"item-{number}",
        "name": f"patch-{number}.png",
        "path": f"/slides/patch-{number}.png",
        "nbytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return ImageItem.model_validate(fields | changes)


def a_request(
    job_id: str | None = None,
    images: Sequence[bytes] = (b"image",),
    *,
    session: str = "s1",
    priority: Priority = Priority.INTERACTIVE,
    attempt: int = 0,
    items: Sequence[ImageItem] | None = None,
    model: str | None = None,
    fresh: bool = False,
) -> Envelope:
    """A ClassifyImages as a client sends it."""
    chosen = tuple(items or (an_item(data) for data in images))
    body = ClassifyImages(items=chosen, priority=priority, model=model, fresh=fresh)
    job_id = job_id or f"job-{next(_numbers)}"
    return Envelope.of(body, source="test", session=session, buffers=tuple(images), jobid=job_id, attempt=attempt)


def a_verdict(probability: float | None = 0.9) -> Verdict:
    if probability is None:
        word = VerdictWord.OUT_OF_DOMAIN
    else:
        word = VerdictWord.TUMOUR if probability >= 0.5 else VerdictWord.NO_TUMOUR
    return Verdict(word=word, probability=probability, threshold=0.5, band=(0.5, 0.5), calibrated=False)


def a_result(
    item: ImageItem | None = None,
    *,
    probability: float | None = 0.9,
    heat_map: tuple[int, int] | None = None,
    model: ModelIdentity | None = None,
) -> ImageResult:
    """``heat_map``: rows and columns."""
    item = item or an_item()
    grid = heat_map and HeatMapGrid(rows=heat_map[0], columns=heat_map[1], x0=0, y0=0, cell_width=96, cell_height=96)
    region = Region(x=0, y=0, width=96, height=96)
    return ImageResult(
        item_id=item.item_id,
        name=item.name,
        path=item.path,
        sha256=item.sha256,
        width_px=96,
        height_px=96,
        scale=Scale(um_per_px=0.97, source=ScaleSource.ASSUMED),
        verdict=a_verdict(probability),
        model=model or a_model(),
        regions=() if probability is None else (RegionScore(region=region, probability=probability),),
        patches=heat_map[0] * heat_map[1] if heat_map else 1,
        heat_map=grid or None,
        device="cpu",
        seconds=0.01,
    )


def an_answer(request: Envelope, *, probability: float = 0.9, heat_map: tuple[int, int] | None = None) -> Envelope:
    """The worker's (and, but for the source, the broker's) answer to a ClassifyImages."""
    assert isinstance(request.body, ClassifyImages)
    answers = tuple(
        ItemAnswer(result=a_result(item, probability=probability, heat_map=heat_map)) for item in request.body.items
    )
    body = ImagesClassified(answers=answers, priority=request.body.priority)
    maps = [bytes(size) for size in body.expected_buffer_sizes()]
    return request.answer(body, source="classifier/w1", buffers=maps)


def a_package_config(architecture: str = "resnet18", **changes: object) -> PackageConfig:
    from domain.model_package import PackageConfig

    normalise = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    fields = {
        "architecture": architecture,
        "num_classes": 2,
        "patch_size_pixels": 96,
        "spacing_um_px": 0.97,
        "class_names": ["normal", "tumour"],
        "transform": [{"name": "ToTensor"}, {"name": "Normalize", "arguments": normalise}],
    }
    return PackageConfig.model_validate(fields | changes)


def an_appearance(threshold: float = 1000.0) -> Appearance:
    """With the default threshold everything is in the model's domain."""
    from domain.model_package import APPEARANCE_FEATURES, Appearance

    width = len(APPEARANCE_FEATURES)
    unit = tuple(tuple(float(row == column) for column in range(width)) for row in range(width))
    return Appearance(mean=(0.0,) * width, precision=unit, threshold=threshold, protocol="made up for a test")


def tiny_package(
    folder: Path,
    *,
    architecture: str = "resnet18",
    seed: int = 0,
    storage: Literal["int8", "bf16", "fp32"] = "int8",
    appearance: Appearance | None = None,
    **changes: Any,
) -> ModelCard:
    """Write a package with random weights and no validation; imports torch (seconds), so only where it is needed."""
    import torch

    from adapters.models import registry
    from adapters.models.package_writer import write_package
    from domain.model_package import CardStatement, TrainingFacts
    from domain.verdict import OperatingPoint

    torch.manual_seed(seed)
    fields: dict[str, Any] = {
        "title": "Tiny",
        "licence": "CC0-1.0",
        "positive_class": "tumour",
        "training": TrainingFacts(data="none", patches=0, epochs=0, started_from="random weights"),
        "operating_point": OperatingPoint(),
        "operating_point_protocol": "not chosen",
        "appearance": appearance or an_appearance(),
    }
    return write_package(
        folder,
        changes.pop("network", None) or registry.architecture(architecture).build(2),
        changes.pop("config", None) or a_package_config(architecture),
        CardStatement(**(fields | changes)),
        storage,
    )
