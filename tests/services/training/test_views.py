"""A patch from all its sides."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor

from domain.errors import BadModelPackage
from services.training.scoring import score_all
from services.training.views import margins_of_views, view
from tests.services.training.scored import FewPatches, mean_darkness, noise


def _corner(pixels: Tensor) -> Tensor:
    """Looks at one corner only, so that each view is answered differently."""
    return pixels[:, 0, 0, 1].float()


def test_the_eight_views_are_the_eight_symmetries_of_the_square_and_no_other() -> None:
    patch = torch.arange(3 * 4 * 4, dtype=torch.uint8).reshape(1, 3, 4, 4)
    seen = {tuple(view(patch, which).flatten().tolist()) for which in range(8)}
    assert len(seen) == 8
    for which in range(8):
        turned = {tuple(view(view(patch, which), other).flatten().tolist()) for other in range(8)}
        assert turned == seen
    assert torch.equal(view(patch, 0), patch)


def test_eight_views_average_the_margins_and_not_the_probabilities() -> None:
    patches = noise(5)
    by_hand = torch.stack([_corner(view(patches, which)) for which in range(8)]).mean(dim=0)
    torch.testing.assert_close(margins_of_views(_corner, patches, 8), by_hand)


@pytest.mark.parametrize("which", range(8))
def test_turning_the_patch_does_not_change_an_answer_over_eight_views(which: int) -> None:
    patches = noise(4)
    torch.testing.assert_close(
        margins_of_views(_corner, view(patches, which), 8), margins_of_views(_corner, patches, 8)
    )


def test_four_views_are_the_quarter_turns() -> None:
    patches = noise(4)
    turned = margins_of_views(_corner, torch.rot90(patches, 1, (2, 3)), 4)
    torch.testing.assert_close(turned, margins_of_views(_corner, patches, 4))
    assert not torch.allclose(margins_of_views(_corner, patches.flip(3), 4), margins_of_views(_corner, patches, 4))


def test_another_number_of_views_is_refused() -> None:
    with pytest.raises(ValueError, match="1, 4 or 8"):
        margins_of_views(_corner, noise(1), 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_scores_come_in_the_order_of_the_patches_whatever_the_batch(batch_size: int) -> None:
    pixels = noise(10)
    margins = score_all(mean_darkness, FewPatches(pixels, [0, 1] * 5), batch_size=batch_size)
    torch.testing.assert_close(margins, mean_darkness(pixels))


def test_patches_are_read_a_batch_at_a_time_and_progress_is_told() -> None:
    patches, told = FewPatches(noise(10), [0, 1] * 5), []
    score_all(mean_darkness, patches, batch_size=4, on_progress=lambda done, total: told.append((done, total)))
    assert patches.reads == [4, 4, 2]
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_no_more_than_one_batch_is_read_ahead_of_the_network() -> None:
    patches, most = FewPatches(noise(40), [0, 1] * 20), 0
    scored = 0

    def score(pixels: Tensor) -> Tensor:
        nonlocal most, scored
        scored += 1
        most = max(most, len(patches.reads) - scored)
        return mean_darkness(pixels)

    score_all(score, patches, batch_size=4)
    assert most <= 1


def test_an_empty_set_has_no_scores() -> None:
    assert score_all(mean_darkness, FewPatches(noise(0), [])).shape == (0,)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_names_the_patch_and_is_not_reported_on(bad: float) -> None:
    def score(pixels: Tensor) -> Tensor:
        margins = mean_darkness(pixels)
        margins[-1] = bad
        return margins

    with pytest.raises(BadModelPackage, match=r"patch-3 is (nan|inf)"):
        score_all(score, FewPatches(noise(6), [0, 1] * 3), batch_size=4)


def test_logits_of_two_classes_are_no_margins() -> None:
    with pytest.raises(BadModelPackage, match=r"shape \(6, 2\)"):
        score_all(lambda pixels: torch.zeros(len(pixels), 2), FewPatches(noise(6), [0, 1] * 3))


def test_a_patch_that_cannot_be_read_stops_the_scoring_with_its_own_error() -> None:
    class Broken(FewPatches):
        def read(self, indices: object) -> Tensor:
            raise BadModelPackage("gone")

    with pytest.raises(BadModelPackage, match="gone"):
        score_all(mean_darkness, Broken(noise(6), [0, 1] * 3))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("patches")]
