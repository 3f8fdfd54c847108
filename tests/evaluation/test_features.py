import pytest
import torch

from modescope.evaluation.features import check_features, check_same_width, extract_features


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batch_size_changes_nothing(draw_images, pixel_judge, batch_size):
    images, labels = draw_images(30, [1, 1, 1, 1], seed=0)
    seen = extract_features(images, pixel_judge, batch_size)
    whole = extract_features(images, pixel_judge)
    assert seen.features.shape == (30, 8) and seen.features.dtype == torch.float32
    assert torch.equal(seen.features, whole.features) and torch.equal(seen.logits, whole.logits)
    assert torch.equal(seen.logits.argmax(1), labels)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 3, 4, 4), torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(0, 3, 4, 4, dtype=torch.uint8)],
    ids=["float", "one image without N", "no image"],
)
def test_other_images_are_refused(images, pixel_judge):
    with pytest.raises(ValueError, match=r"expected images .*uint8, received \("):
        extract_features(images, pixel_judge)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(3), r"expected f \(N, D\) of a floating-point dtype, received \(3,\)"),
        (torch.zeros(3, 2, dtype=torch.int64), "received .* torch.int64"),
        (torch.zeros(0, 2), r"received \(0, 2\)"),
        (torch.tensor([[0.0], [float("nan")], [float("inf")]]), "NaN or infinity in 2 of 3 rows"),
    ],
)
def test_bad_features_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        check_features(features, "f")


def test_widths_must_agree():
    with pytest.raises(ValueError, match="width 3 as the reference's, received 2"):
        check_same_width(torch.zeros(4, 3), torch.zeros(4, 2))
