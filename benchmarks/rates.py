"""Steps a second of every kind of training run of `standard` on two cores: one of two threads, or two of one thread.

python -m benchmarks.rates        # 6 minutes on two cores; nothing else may run; writes reports/rates.json

The runs are those of the profile, on noise; stage 2 has one step of the generator an iteration. `benchmarks.simulate`
reads what is written.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modescope.files import write_json
from modescope.threads import COUNTS, WAITING, tell_torch

if TYPE_CHECKING:
    from modescope.training.objective import Training

RATES = Path("reports/rates.json")
WAYS = {"one of two threads": (1, 2), "two of one thread": (2, 1)}  # way -> runs at once, threads of each
CODE = "from benchmarks.rates import print_rates; print_rates({seconds})"
FIRST, _ = WAYS
STAGE2 = {"stage2-a": "a-0.5-n1", "stage2-b": "b-ff-0.5", "stage2-c": "c-conv-0.5", "stage2-d": "d-ff-0.5"}
STAGE2 |= {f"stage2-ours-{kind}": f"ours-{kind}" for kind in "abcd"}


def main(
    seconds: Annotated[float, typer.Option(help="Length of a measurement, one step at least", min=0.1)] = 8.0,
    out: Annotated[Path, typer.Option(help="The file")] = RATES,
) -> None:
    """Print steps a second of all that runs at once, by loop and way, and write them."""
    found = {way: together(*how, seconds) for way, how in WAYS.items()}
    print(f"| loop | {' | '.join(found)} |")
    print("| :-- |" + " --: |" * len(found))
    for name in found[FIRST]:
        print(f"| {name} | {' | '.join(f'{rates[name]:.2f}' for rates in found.values())} |")
    write_json(out, found)


def together(runs: int, threads: int, seconds: float) -> dict[str, float]:
    """Steps a second of so many processes at once, added up by loop."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment |= dict.fromkeys(COUNTS, str(threads))
    command = [sys.executable, "-c", CODE.format(seconds=seconds)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(runs)]
    measured = [json.loads(each.communicate()[0]) for each in running]
    return {name: sum(each[name] for each in measured) for name in measured[0]}


def print_rates(seconds: float) -> None:
    """Print every loop's steps a second, on noise, as JSON."""
    from benchmarks.loops import steps_of
    from modescope.process import keep_freed_memory

    tell_torch()
    keep_freed_memory()
    rates = {name: rate(steps_of(make(), "fp32"), seconds) for name, make in trainings("standard").items()}
    print(json.dumps(rates))


def trainings(profile: str) -> dict[str, Callable[[], "Training"]]:
    """What makes a profile's training runs on noise, by loop: those of study 1, stage 1, studies 2 and 3."""
    import torch

    from benchmarks.loops import stage2_from_new, untrained_guide
    from modescope.config import parse_params, profile_values
    from modescope.models.vae import build_vae
    from modescope.training.cgan import cgan_training
    from modescope.training.gan import gan_training
    from modescope.training.hybrid import hybrid_training
    from modescope.training.two_stage import new_stage1, stage1_training
    from modescope.training.vae import vae_training

    params = parse_params(profile_values(profile), profile)
    colour, grey = (torch.randint(0, 256, (4096, *size), dtype=torch.uint8) for size in ((3, 32, 32), (1, 28, 28)))
    labels, seed, models = torch.arange(4096) % 10, params.seed, params.imbalance

    def hybrid() -> "Training":
        vae = build_vae(models.vae.latent_dim)
        return hybrid_training(params.hybrid, models.gan, models.vae, vae, colour, labels, seed)

    def stage1(name: str) -> "Training":
        config = params.stage1_config(name)
        return stage1_training(config, new_stage1(config, 3, 10), (colour, labels))

    def stage2(row: str) -> "Training":
        config = params.stage2_config(row).model_copy(update={"n_gen": 1})
        return stage2_from_new(config, untrained_guide(params), (colour, labels))

    def cgan(name: str) -> "Training":
        return cgan_training(params.cgan.config(name), grey, labels, 10, seed)

    return {
        "imbalance-gan": lambda: gan_training(models.gan, colour, labels, seed),
        "imbalance-vae": lambda: vae_training(models.vae, colour, labels, seed),
        "gan-ours": lambda: gan_training(models.gan_ours, colour, labels, seed),
        "hybrid": hybrid,
        "dcgan": lambda: stage1("stage1"),
        "stage1-ours": lambda: stage1("stage1-ours"),
        **{loop: partial(stage2, row) for loop, row in STAGE2.items()},
        "cgan-bce": lambda: cgan("cgan-bce"),
        "cgan-wgan-gp": lambda: cgan("cgan-wgan-gp"),
    }


def rate(run: Callable[[int], None], seconds: float) -> float:
    """Steps a second, the first one left out."""
    run(1)
    began, steps = time.perf_counter(), 0
    while time.perf_counter() < began + seconds or not steps:
        run(1)
        steps += 1
    return steps / (time.perf_counter() - began)


if __name__ == "__main__":
    typer.run(main)
