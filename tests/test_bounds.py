"""Every number of params.yaml has its bounds, and what lies outside is refused in one line."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.utils import check_random_state

import fuzz
from modescope.config import Params, Stage1Config, load_params, parse_params, profile_values
from modescope.errors import UserError
from modescope.models.classifiers import build_classifier
from modescope.process import exit_readably
from modescope.training.cgan import cgan_training
from modescope.training.classifier import classifier_training
from modescope.training.gan import gan_training
from modescope.training.loop import iterate
from modescope.training.meter import Meter
from modescope.training.two_stage import new_stage1, stage1_training
from modescope.training.vae import vae_training

STANDARD = profile_values("standard")
IMAGES = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LOWER, UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


def numbers(node, where=""):
    """Every integer and number of a JSON schema, by its place."""
    if isinstance(node, dict):
        if node.get("type") in ("integer", "number"):
            yield where, node
        for key, value in node.items():
            yield from numbers(value, f"{where}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from numbers(value, f"{where}/{index}")


def places(values, path=()):
    """Every number of the parameters, as its path."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        elif type(value) in (int, float):
            yield (*path, key)


FIELDS = dict(numbers(Params.model_json_schema()))


def test_every_number_of_every_section_has_a_lower_and_an_upper_bound():
    assert len(FIELDS) > 90
    assert [
        name for name, field in FIELDS.items() if not (field.keys() & set(LOWER) and field.keys() & set(UPPER))
    ] == []
    assert all(math.isfinite(field[bound]) for field in FIELDS.values() for bound in field.keys() & {*LOWER, *UPPER})


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 2**64, 10**400, 1e300, -1e300], ids=fuzz.brief)
def test_no_number_is_infinite_nan_or_beyond_every_library(number):
    for path in places(STANDARD):
        values = json.loads(json.dumps(STANDARD))
        place = values
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = number
        with pytest.raises(UserError) as refusal:
            parse_params(values, "params.yaml")
        assert len(str(refusal.value)) < 300 and "\n" not in str(refusal.value), path


@pytest.mark.parametrize("text", [".inf", "1e999", ".nan", "9" * 5000, "0x" + "f" * 5000, str(2**64)], ids=fuzz.brief)
def test_such_numbers_in_the_file_are_one_line(text, tmp_path):
    file = tmp_path / "params.yaml"
    for name in ("seed", "epochs", "lr_generator"):
        file.write_text(json.dumps(STANDARD | {"seed": 1}).replace(f'"{name}": ', f'"{name}": {text}, "other": ', 1))
        with pytest.raises(UserError, match=r"params\.yaml") as refusal:
            load_params(file)
        assert len(str(refusal.value)) < 300 and "\n" not in str(refusal.value)


def test_the_largest_seed_is_one_for_torch_numpy_and_scikit_learn():
    seed = FIELDS["/properties/seed"]["exclusiveMaximum"] - 1
    assert parse_params(STANDARD | {"seed": seed}, "params.yaml").seed == seed
    torch.Generator().manual_seed(seed), np.random.default_rng(seed), check_random_state(seed)
    torch.Generator().manual_seed(seed * 1_000_003 + 10**9)  # as a classifier's batches
    with pytest.raises(ValueError):
        check_random_state(seed + 1)


def changed(section, **changes):
    """A section of the demo with other values, checked."""
    return type(section).model_validate(section.model_dump(by_alias=True) | changes)


def trainings(width):
    """A training of every network, as narrow or as wide as the bounds allow, with the smallest batch."""
    params, images, labels = parse_params(profile_values("demo"), "demo"), IMAGES, torch.arange(8) % 4
    study1, even = params.imbalance, max(2, width)
    gan = changed(study1.gan, latent_dim=width, width=4 * width, batch_size=2)
    ours = changed(
        study1.gan_ours, latent_dim=width, generator_width=width, discriminator_width=width, batch_size=2, n_critic=1
    )
    yield lambda: gan_training(gan, images, labels, 0)
    yield lambda: gan_training(ours, images, labels, 0)
    yield lambda: vae_training(changed(study1.vae, latent_dim=width, batch_size=2), images, labels, 0)
    shared = {"latent_dim": width, "generator_width": even, "discriminator_width": width, "critic_width": width}
    for loss in ("bce", "wgan-gp"):
        for labelled in ({}, {"generator_labels": "concat", "discriminator_labels": "projection"}):
            given = {"mode": "cgan", "loss": loss, "n_critic": 1, "batch_size": 2}
            row = params.cgan.resolve(shared | labelled | given, "row")
            yield lambda row=row: cgan_training(row, images[:, :1, :28, :28], labels, 4, 0)
    for network in ("dcgan", "residual"):
        top = {"network": network, "ngf": width, "ndf": width, "latent_dim": width, "batch_size": 2, "prior": "normal"}
        config = Stage1Config.model_validate({name: getattr(params, name) for name in Stage1Config.model_fields} | top)
        yield lambda config=config: stage1_training(config, new_stage1(config, 3, 4), (images, labels))
    for name, widths in (("rgb-guide", [width] * 3), ("rgb-judge", [width] * 5), ("grey-judge", [width] * 4)):
        settings = changed(params.classifiers[name], widths=widths, batch_size=2)
        seen = images if name.startswith("rgb") else images[:, :1, :28, :28]
        built = (settings.network, widths, 4, seen.shape[1], settings.role)
        yield lambda built=built, s=settings, x=seen: classifier_training(build_classifier(*built), s, x, labels)


@pytest.mark.parametrize("number", range(len(list(trainings(1)))))
def test_the_narrowest_networks_and_the_smallest_batches_train(number):
    training = list(trainings(1))[number]()
    iterate(training, Meter(), "fp32", training.rows(0))


def test_widths_that_a_network_cannot_have_are_refused():
    for name, widths in (("rgb-guide", [8]), ("rgb-judge", [8] * 6), ("grey-judge", [8] * 7)):
        values = json.loads(json.dumps(STANDARD))
        values["classifiers"][name]["widths"] = widths
        with pytest.raises(UserError, match=f"classifiers.{name}: a .+ takes .+ widths"):
            parse_params(values, "params.yaml")


@pytest.mark.parametrize(
    "change", [{"neighbours": 10_000}, {"kid_subset_size": 10_001}, {"is_splits": 10_001}, {"num_samples": 5}], ids=str
)
def test_an_evaluation_that_could_only_fail_after_all_trainings_is_refused(change):
    with pytest.raises(UserError, match="evaluation.num_samples"):
        parse_params(STANDARD | {"evaluation": STANDARD["evaluation"] | change}, "params.yaml")


def test_a_vae_without_held_out_images_is_refused():
    settings = changed(parse_params(STANDARD, "standard").imbalance.vae, eval_fraction=0.0001, batch_size=2)
    with pytest.raises(UserError, match="eval_fraction 0.0001 of 8 images is none: raise it"):
        vae_training(settings, IMAGES, torch.arange(8) % 4, 0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_numbers_too_large_for_the_memory_are_one_line(error, capsys):
    def command():
        raise error

    with pytest.raises(SystemExit, match="2"):
        exit_readably(command)
    printed = capsys.readouterr().err
    assert "lower batch sizes, widths or numbers of images" in printed and printed.count("\n") == 1
