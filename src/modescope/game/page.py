"""The game's page: one HTML file with both networks, some real test digits, style and script inside."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modescope.data.prepared import Dataset
from modescope.data.sources import DIGITS
from modescope.errors import UserError
from modescope.evaluation.samplers import GeneratorSampler, Sampler
from modescope.files import atomic_path
from modescope.game.networks import Packed
from modescope.models.cgan import CganGenerator
from modescope.models.classifiers import Classifier
from modescope.report.page import environment

# The judge is most of the page and hardly minds: with 31 levels a weight its probabilities stay within 0.05, and the
# weights deflate to 60 % of their size (docs/exchange.md). A generator's pixels do mind, and it has all 255 levels.
JUDGE_LEVELS = 15
REAL_OF_A_CLASS = 20
SEEN = 1000  # test images by which drawings are normalised
Facts = dict[str, Any]  # of a run.json


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
        "numbers": sum(part.numel() for part in packed.numbers),
        "runs": {role: _run(info) for role, info in zip(("generator", "judge"), infos, strict=True)},
        "profile": infos[0].get("origin", {}).get("profile"),
        "real": labels.tolist(),
    }
    template = environment(Path(__file__).parent).get_template("game.html.j2")  # its style begins with the report's
    networks, digits = in_text(packed.bytes(), zlib.Z_HUFFMAN_ONLY), in_text(pixels.numpy().tobytes())
    return template.render(facts=facts, json=_json(facts), networks=networks, digits=digits)


def _generator(packed: Packed, sampler: Sampler, run: str) -> Facts:
    generator = sampler.generator if isinstance(sampler, GeneratorSampler) else None
    if not isinstance(generator, CganGenerator) or generator.num_classes is None:
        raise UserError(f"{run} draws no digit that is asked for: name a row of study 3 with labels")
    packed.numbers.append(generator.embedding.weight)
    fed = {"latent": generator.latent_dim, "labels": generator.labels}
    return fed | {"layers": packed.add(generator.layers)}


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


def _run(info: Facts) -> Facts:
    return {name: info[name] for name in ("run", "key", "weights_sha256") if name in info}


def in_text(content: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> str:
    """zlib's stream in base64, which `DecompressionStream("deflate")` reads. Noise takes Huffman codes alone."""
    stream = zlib.compressobj(9, strategy=strategy)
    return base64.b64encode(stream.compress(content) + stream.flush()).decode()


def _json(facts: Facts) -> str:
    """JSON that ends no script element."""
    return json.dumps(facts, ensure_ascii=False).replace("<", "\\u003c")
