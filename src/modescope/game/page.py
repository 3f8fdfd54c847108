"""The game's page: one HTML file with both networks, some real test digits, style and script inside."""

from pathlib import Path

import torch
from torch import Tensor

from modescope.browser.networks import Packed
from modescope.browser.page import Facts, in_text, profile_of, run_facts
from modescope.browser.page import to_html as page_html
from modescope.data.prepared import Dataset
from modescope.data.sources import DIGITS
from modescope.errors import UserError
from modescope.evaluation.samplers import Sampler
from modescope.files import atomic_path
from modescope.models.classifiers import Classifier

# The judge is most of the page and hardly minds: with 31 levels a weight its probabilities stay within 0.05, and the
# weights deflate to 60 % of their size (docs/exchange.md). A generator's pixels do mind, and it has all 255 levels.
JUDGE_LEVELS = 15
REAL_OF_A_CLASS = 20
TEMPLATE = Path(__file__).with_name("game.html.j2")
SEEN = 1000  # test images by which drawings are normalised


def write_game(sampler: Sampler, judge: Classifier, test: Dataset, infos: tuple[Facts, Facts], out: Path) -> None:
    """Write the page.

    Args:
        sampler: of a generator of study 3 with labels.
        judge: who sees its images as `test` has them.
        test: the real digits.
        infos: run.json of generator and judge.
        out: the file.

    Raises:
        UserError: the generator draws without labels, or is none of study 3's.
    """
    html = to_html(sampler, judge, test, infos)
    with atomic_path(out) as temporary:
        temporary.write_text(html, encoding="utf-8")


def to_html(sampler: Sampler, judge: Classifier, test: Dataset, infos: tuple[Facts, Facts]) -> str:
    """The page as HTML: equal bytes for equal networks and digits."""
    packed = Packed()
    generator = _generator(packed, sampler, infos[0]["run"])
    pixels, labels = real_digits(test)
    facts = {
        "data": test.name,
        "names": test.classes,
        "glyphs": [str(index) for index in range(len(DIGITS))] if test.classes == DIGITS else test.classes,
        "side": test.images.shape[-1],
        "pen": normalisation(test.images[:SEEN, 0]),
        "generator": generator,
        "judge": _judge(packed, judge),
        "runs": {role: run_facts(info) for role, info in zip(("generator", "judge"), infos, strict=True)},
        "profile": profile_of(infos[0]),
        "real": labels.tolist(),
    }
    return page_html(TEMPLATE, packed, facts, digits=in_text(pixels.numpy().tobytes()))


def _generator(packed: Packed, sampler: Sampler, run: str) -> Facts:
    if sampler.num_classes is None:
        raise UserError(f"{run} draws no digit that is asked for: name a row of study 3 with labels")
    return {"layers": packed.generator(sampler, run), "latent": sampler.generator.latent_dim}


def _judge(packed: Packed, judge: Classifier) -> Facts:
    """From pixels in [0, 1] to calibrated logits: the temperature is the last step."""
    mean, std = judge.mean.flatten(), judge.std.flatten()
    normalised = packed.affine(1 / std, -mean / std)
    layers = packed.add(judge.layers, JUDGE_LEVELS)
    classes = judge.layers[-1].out_features
    calibrated = packed.affine(torch.full((classes,), 1 / judge.temperature.item()), torch.zeros(classes))
    return {"layers": [normalised, *layers, calibrated]}


def real_digits(test: Dataset) -> tuple[Tensor, Tensor]:
    """The first test images of every class: (N, 1, H, W) uint8 and their labels (N,)."""
    classes = range(len(test.classes))
    rows = torch.cat([(test.labels == each).nonzero().flatten()[:REAL_OF_A_CLASS] for each in classes])
    return test.images[rows], test.labels[rows]


def normalisation(images: Tensor) -> Facts:
    """How these images were normalised, as a drawing shall be, in pixels.

    Args:
        images: (N, H, W) uint8, ink on 0.

    Returns:
        box: the longer side of what is not black (the median; MNIST: 20); width: of the pen, an area being width times
        length and its outline twice the length; centre: (x, y) of mass.
    """
    ink = images.float() / 255
    seen = ink > 0.1
    sides = torch.maximum(seen.any(1).sum(1), seen.any(2).sum(1)).float()
    area = ink.sum((1, 2)).clamp(min=1e-6)
    right, down = ink[:, :-1, 1:] - ink[:, :-1, :-1], ink[:, 1:, :-1] - ink[:, :-1, :-1]
    outline = (right.square() + down.square()).sqrt().sum((1, 2)).clamp(min=1e-6)
    places = torch.arange(images.shape[-1]) + 0.5
    centre = [((ink.sum(axis) * places).sum(1) / area).mean().item() for axis in (1, 2)]
    width = (2 * area / outline).median().item()
    return {"box": sides.median().item(), "width": round(width, 2), "centre": [round(each, 2) for each in centre]}
