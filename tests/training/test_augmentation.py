import pytest
import torch

from modescope.training.augmentation import GREY_LEVEL, alternate_flips, cut_out, flip_half, translate


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count, height=6, width=7):
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator(9))


def test_a_half_is_flipped():
    before = images(1000)
    after = flip_half(before, generator())
    same, mirrored = ((after == x).flatten(1).all(1) for x in (before, before.flip(-1)))
    assert (same ^ mirrored).all() and same.sum().item() == pytest.approx(500, abs=60)


def test_flips_alternate_between_epochs():
    """Epochs of 5 images: places 3, 4 are the first epoch's, 5 to 9 the second's, 10 the third's."""
    before = images(8)
    after = alternate_flips(before, first_place=3, num_images=5)
    flipped = [not torch.equal(x, y) for x, y in zip(before, after, strict=True)]
    assert flipped == [False, False, True, True, True, True, True, False]


def test_translation_reflects_the_border():
    """A ramp moved by s shows the ramp's value at the reflected place: each result is one of five possible shifts."""
    ramp = torch.arange(6, dtype=torch.uint8).view(1, 1, 1, 6).expand(200, 1, 6, 6)
    rows = {tuple(row) for row in translate(ramp, 2, generator())[:, 0, 0].tolist()}
    assert rows == {(2, 1, 0, 1, 2, 3), (1, 0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 4), (2, 3, 4, 5, 4, 3)}


def test_translation_moves_rows_and_columns_alike():
    before = images(50)
    assert torch.equal(translate(before, 2, generator()), translate(before, 2, generator()))
    turned = before.transpose(2, 3)
    assert any(
        not torch.equal(x, y)
        for x, y in zip(
            translate(turned, 2, generator()).transpose(2, 3), translate(before, 2, generator()), strict=True
        )
    )


def test_one_square_is_cut_out():
    before = images(100).clamp(max=GREY_LEVEL - 1)
    painted = (cut_out(before, 3, generator()) == GREY_LEVEL).all(1)
    assert (painted.sum((1, 2)) == 9).all()
    assert (painted.any(1).sum(1) == 3).all() and (painted.any(2).sum(1) == 3).all()
    assert painted.any(0).all()  # every place has its turn
