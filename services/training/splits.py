"""Splitting patches into a training set and a held-out set, with the sentence that states how.

A slide's patches look alike. Where some of them train and others are held out, a network is praised for knowing the
slide; so patches are parted by slide or patient wherever somebody knows it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from domain.errors import BadTrainingData
from services.training.patches import LabelledPatches, PatchSubset

Groups = Literal["auto", "require", "ignore"]

#: The protocol of a random split.
RANDOM = "random split: patches of one slide may be on both sides, so the figures are too good"
#: Orders of the groups that are tried; the one that comes nearest to the share in both classes is taken.
_TRIES = 64
#: Fewer tries where there are many groups: then any order comes near.
_STEPS = 200_000


@runtime_checkable
class FingerprintedPatches(Protocol):
    """Patches with a fingerprint of their pixels, as the readers give them."""

    @property
    def fingerprints(self) -> NDArray[np.uint8]:
        """N×16: equal where pixels are equal."""


@dataclass(frozen=True)
class Split:
    """Two sets without a patch in common."""

    training: PatchSubset
    held_out: PatchSubset
    protocol: str
    """How they were parted: stands beside every figure."""


def split(patches: LabelledPatches, *, held_out_share: float, seed: int, groups: Groups = "auto") -> Split:
    """Hold out about ``held_out_share`` of each class, and whole slides or patients where they are known.

    ``groups``: ``require`` refuses patches whose slides are unknown, ``ignore`` parts them at random all the same.

    Raises:
        BadTrainingData: both classes cannot be on both sides, or slides are required and unknown.
    """
    labels = patches.labels.numpy()
    known = patches.groups
    if known is None and groups == "require":
        raise BadTrainingData(
            "A split by slide or patient is required, but nobody says which patch is of which: add a column wsi, slide "
            "or patient to the labels file."
        )
    if min(np.bincount(labels, minlength=2)) < 2:
        raise BadTrainingData("A split needs at least two normal and two tumour patches, one of each for either side.")
    if known is None or groups == "ignore":
        held = at_random(labels, held_out_share, np.random.default_rng(seed))
        protocol = RANDOM + (" (slides are known and were ignored)" if known is not None else "")
    else:
        names, member = np.unique(np.array(known), return_inverse=True)
        held = _by_group(labels, member, held_out_share, seed)
        count = len(set(member[held].tolist()))
        protocol = f"split by slide or patient: {count:,} of {len(names):,} are held out, and none is on both sides"
    return Split(
        PatchSubset(patches, np.flatnonzero(~held).tolist()),
        PatchSubset(patches, np.flatnonzero(held).tolist()),
        protocol,
    )


def split_of_folder(training: LabelledPatches, held_out: LabelledPatches, *, groups: Groups = "auto") -> Split:
    """The folder's own split; its protocol names slides or pixels that are on both sides.

    Raises:
        BadTrainingData: the two sets have patches of different size; or ``groups`` is ``require`` and slides are
            unknown or on both sides.
    """
    if training.patch_px != held_out.patch_px:
        raise BadTrainingData(
            f"The training patches measure {training.patch_px} pixels and the held-out ones {held_out.patch_px}: bring "
            "them to one size, at the same scale."
        )
    protocol = ", ".join(
        [
            "the folder's own split",
            *_about_slides(training.groups, held_out.groups, groups),
            *_describe_duplicates(training, held_out),
        ]
    )
    return Split(PatchSubset(training, range(len(training))), PatchSubset(held_out, range(len(held_out))), protocol)


def _about_slides(training: tuple[str, ...] | None, held_out: tuple[str, ...] | None, groups: Groups) -> list[str]:
    if training is None or held_out is None:
        if groups == "require":
            raise BadTrainingData(
                "A split by slide or patient is required, but slides are unknown: see the labels files."
            )
        return []
    # An empty name is an unknown slide, not one that both sets share.
    shared = sorted((set(training) & set(held_out)) - {""})
    if not shared:
        return ["no slide or patient is on both sides"]
    listed = ", ".join(shared[:3]) + (", …" if len(shared) > 3 else "")
    if groups == "require":
        raise BadTrainingData(
            f"Slides or patients are in both the training and the held-out set ({len(shared):,}: {listed}): move each "
            "to one of them, or drop groups=require from the recipe."
        )
    return [f"but some slides or patients are on both sides ({len(shared):,}: {listed}), so the figures are too good"]


def _describe_duplicates(training: LabelledPatches, held_out: LabelledPatches) -> list[str]:
    """Patches with the same pixels in both sets."""
    if not (isinstance(training, FingerprintedPatches) and isinstance(held_out, FingerprintedPatches)):
        return []
    known = {row.tobytes() for row in training.fingerprints}
    twins = sum(row.tobytes() in known for row in held_out.fingerprints)
    if not twins:
        return []
    return [
        f"but some held-out patches have the very pixels of a training patch ({twins:,}), so the figures are too good"
    ]


def at_random(labels: NDArray[np.int64], share: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """(N,) True where held out: the share of each class, at least one patch on either side.

    ``labels`` (N,) hold both classes, each twice or more.
    """
    held = np.zeros(len(labels), bool)
    for label in (0, 1):
        members = random.permutation(np.flatnonzero(labels == label))
        held[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    return held


def _by_group(labels: NDArray[np.int64], member: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """(N,) True where held out; ``member`` is the group of each patch, counted from 0."""
    counts = np.stack([np.bincount(member, labels == label) for label in (0, 1)], axis=1)
    for label, name in enumerate(("normal", "tumour")):
        if (counts[:, label] > 0).sum() < 2:
            raise BadTrainingData(
                f"All {name} patches are of one slide or patient, so no split by slide has them on both sides. Add "
                "patches of other slides, or choose --set groups=ignore and believe the figures less."
            )
    shares = counts / counts.sum(axis=0)
    tries = max(1, min(_TRIES, _STEPS // len(counts)))
    parted = [_greedy(shares, share, np.random.default_rng((seed, turn))) for turn in range(tries)]
    best = min(parted, key=lambda held: _distance(shares[held].sum(axis=0), share))
    return best[member]


def _greedy(shares: NDArray[np.float64], wanted: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """(G,) True where a group is held out. ``shares`` is G×2: its part of each class.

    Begins with a group of each class on either side, then holds out whatever brings both classes nearer to the share.
    """
    order = random.permutation(len(shares))
    held, free = _first_of_each(shares, order)
    chosen = np.zeros(len(shares), bool)
    chosen[list(held)] = True
    sums = shares[chosen].sum(axis=0)
    for group in order.tolist():
        if group in held or group in free:
            continue
        more = sums + shares[group]
        if _distance(more, wanted) < _distance(sums, wanted):
            chosen[group] = True
            sums = more
    return chosen


def _first_of_each(shares: NDArray[np.float64], order: NDArray[np.int64]) -> tuple[set[int], set[int]]:
    """Groups to hold out and to train on, so that either side has both classes. Two groups of each class suffice."""
    normal, tumour = ([int(group) for group in order if shares[group, label] > 0][:2] for label in (0, 1))
    for pair, other in itertools.product(itertools.permutations(normal), itertools.permutations(tumour)):
        held, free = {pair[0], other[0]}, {pair[1], other[1]}
        if not held & free:
            return held, free
    raise AssertionError("two groups of each class can always be parted")


def _distance(sums: NDArray[np.float64], wanted: float) -> float:
    return float(((sums - wanted) ** 2).sum())
