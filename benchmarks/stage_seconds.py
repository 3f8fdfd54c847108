"""Seconds of every stage: its steps times the measured seconds of a step of its loop; the rest by kind."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from benchmarks.rates import FIRST, RATES
from modescope.config import GANConfig, Params, Stage1Config
from modescope.data.splits import long_tailed_counts
from modescope.files import read_json

START = {"cpu": 4.0, "gpu": 10.0}  # from a command to its first step; on a GPU check.json's stages without their runs
IMAGES, CLASS = 50_000, 5_000  # CIFAR-10's
OURS, STAGE1_OURS = "gan-ours", "stage1-ours"  # the residual networks, which `modescope bench` leaves out
# Steps a second, measured with 128 channels, 67, by the arithmetic of the paper profile's 256 and 128.
OURS_RATES = dict.fromkeys([OURS, STAGE1_OURS, *(f"stage2-ours-{kind}" for kind in "abcd")], 30.0)
GENERATOR = 0.6  # a step of the generator, of one of both networks: 306 of 517 ms (docs/performance.md)
# Seconds of what is no training on two CPU cores, and a reference's of every thousand real images (reports/bench.json).
OTHER = {"download": 30, "split": 5, "settings": 3, "evaluate": 17, "coverage": 30, "stacked_real": 25, "report": 15}
OTHER |= {"code": 3, "reference": 17, "mixture": 12, "classifier": 360, "overview": 2, "game": 5, "features": 34}
OTHER |= {"inside": 46}
PER_THOUSAND = 0.66


class Work(NamedTuple):
    """What a training computes.

    Attributes:
        loop: a loop of `modescope bench` or of `benchmarks.rates`.
        steps: iterations of the training.
        weight: steps of the loop in each of them.
    """

    loop: str
    steps: float
    weight: float = 1.0


def on_cpu(stages: Iterable[str], params: Params) -> dict[str, float]:
    """Seconds by stage of the standard profile, each of two threads on two cores."""
    rates, found = read_json(RATES)[FIRST], {}
    rates["dcgan-g-step"] = rates["dcgan"] / GENERATOR
    for name in stages:
        work = trained(name, params)
        if work:
            found[name] = START["cpu"] + seconds_of(work, rates)
        else:
            found[name] = other(name) + PER_THOUSAND * reference_images(name, params) / 1000
    return found


def with_hybrid(rates: dict[str, float]) -> dict[str, float]:
    """A step of the hybrid is one of each of its parts, unless it was measured."""
    return {"hybrid": 1 / (1 / rates["imbalance-gan"] + 1 / rates["imbalance-vae"])} | rates


def seconds_of(work: Sequence[Work], rates: Mapping[str, float]) -> float:
    return sum(part.steps * part.weight / rates[part.loop] for part in work)


def on_gpu(stages: Iterable[str], params: Params) -> dict[str, float]:
    """Seconds by stage on an H100: reports/gpu, and loops that were not measured there as much faster than on two
    cores as the one that gained least.
    """
    done = [each for each in read_json(Path("reports/gpu/check.json"))["stages"] if each["ended"] == "done"]
    cpu, gpu = (
        {loop["loop"]: loop["ours_steps_per_second"] for loop in read_json(Path(folder, "bench.json"))["loops"]}
        for folder in ("reports", "reports/gpu")
    )
    gain = min(gpu[loop] / cpu[loop] for loop in gpu)
    rates = with_hybrid({loop: rate * gain for loop, rate in cpu.items()} | gpu | OURS_RATES)
    found = {}
    for name in stages:
        work, kind = trained(name, params), name.partition("@")[0].partition("-")[0]
        same = [each["seconds"] for each in done if each["stage"].partition("@")[0].partition("-")[0] == kind]
        found[name] = START["gpu"] + seconds_of(work, rates) if work else mean(same) if same else other(kind)
    return found


def other(kind: str) -> float:
    return next(seconds for name, seconds in OTHER.items() if kind.startswith(name))


def reference_images(name: str, params: Params) -> int:
    """Real images that a reference holds; long-tailed splits are measured against all."""
    kind, _, split = name.partition("@")
    if not kind.startswith("reference"):
        return 0
    return params.split.total if split in params.split.counts else IMAGES


def trained(name: str, params: Params) -> list[Work]:
    """What a training stage computes; nothing for one that trains nothing, or a classifier."""
    kind, _, row = name.partition("@")
    if kind.startswith("imbalance"):
        return [_imbalance(row, params)]
    if kind == "hybrid":
        settings = params.hybrid
        return [Work("hybrid", _limited(settings.epochs, IMAGES, settings.batch_size, settings.max_steps))]
    if kind == "stage1":
        return _stage1(params.stage1_config(row))
    if kind == "stage2":
        return [_stage2(params.stage2_config(row))]
    if kind.startswith("cgan") or kind == "stacked":
        config = params.stacked_config(row) if kind == "stacked" else params.cgan.config(_without_seed(row, params))
        return [Work("cgan-wgan-gp" if config.loss == "wgan-gp" else "cgan-bce", config.generator_steps)]
    return []


def _imbalance(row: str, params: Params) -> Work:
    model = max((model for model in (*params.imbalance.trained, OURS) if row.startswith(f"{model}-")), key=len)
    split = _without_seed(row.removeprefix(f"{model}-"), params)
    settings = params.imbalance.of_model(model)
    if model == OURS:
        return Work(OURS, settings.generator_steps)
    rho = params.split.long_tailed.get(split)
    images = params.split.total if split in params.split.counts else IMAGES
    if rho is not None:
        images = sum(long_tailed_counts(CLASS, 10, rho))
    trained_on = 0.8 * images if model == "vae" else images  # the rest is held out
    return Work(f"imbalance-{model}", _limited(settings.epochs, trained_on, settings.batch_size, settings.max_steps))


def _stage1(config: Stage1Config) -> list[Work]:
    limit = config.stage1_max_generator_steps // config.stage1_n_gen
    steps = _limited(config.stage1_epochs, IMAGES, config.batch_size * config.n_critic, limit)
    if config.network == "residual":
        return [Work(STAGE1_OURS, steps)]
    return [Work("dcgan", steps), Work("dcgan-g-step", steps, config.stage1_n_gen - 1)]


def _stage2(config: GANConfig) -> Work:
    limit = config.stage2_max_generator_steps // config.n_gen
    steps = _limited(config.stage2_epochs, IMAGES, config.batch_size, limit)
    loop = "stage2-ours-" if config.network == "residual" else "stage2-"
    return Work(loop + config.architecture.lower(), steps, 1 - GENERATOR + GENERATOR * config.n_gen)


def _limited(epochs: float, images: float, batch_size: int, limit: int) -> int:
    return min(limit, int(epochs * (images // batch_size)))


def _without_seed(row: str, params: Params) -> str:
    return next((row.removesuffix(f"-{seed}") for seed in params.seeds.more if row.endswith(f"-{seed}")), row)
