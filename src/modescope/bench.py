"""`modescope bench`: our training loops against plain ones of the same networks, in alternation, and against the machine's arithmetic."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from modescope.config import Params, parse_params, profile_values
from modescope.data.batches import to_unit
from modescope.files import root, write_json
from modescope.training.conditional import conditional_training
from modescope.training.device import training_device
from modescope.training.gan import gan_training
from modescope.training.iteration import Batch, Training, iterate, update
from modescope.training.priors import Prior
from modescope.training.two_stage import new_stage1, stage1_training
from modescope.training.vae import vae_training
from modescope.vision import torchvision

IMAGES = 4096
ROUNDS = 5
STEPS = {"cpu": 10, "cuda": 300}  # a round's, at most
SECONDS = 5  # that a round of the plain loop should not take much longer than
Pairs = dict[str, tuple[Callable[[int], None], Callable[[int], None]]]  # name -> our loop and the plain one, each `run(steps)`
COLUMNS = "{:<14} {:>6} {:>12} {:>12} {:>7} {:>13} {:>11} {:>8}"


def ours(training: Training, precision: str) -> Callable[[int], None]:
    """Our loop's training steps as `run(steps)`: no files, and no eval pass, which the plain loops leave out too."""
    done = 0

    def run(steps: int) -> None:
        nonlocal done
        for step in range(done, done + steps):
            iterate(training.objective, training.stream, step, precision)
        done += steps

    return run


def generator_steps(training: Training, precision: str) -> Callable[[int], None]:
    """The generator's half of an adversarial training as `run(steps)`."""
    objective, stream, _ = training
    generator, batch = objective.phases[1], Batch(*stream.batch(0))

    def run(steps: int) -> None:
        for _ in range(steps):
            update(objective, generator, batch, precision)

    return run


def drawing(prior: Prior, count: int, device: torch.device) -> Callable[[int], None]:
    """Draws of `count` latent vectors as `run(steps)`."""

    def run(steps: int) -> None:
        for _ in range(steps):
            prior.sample(count, device)

    return run


def loops(device: torch.device) -> Pairs:
    """By name: our loop and the plain one, at the published settings, on random images."""
    sys.path.insert(0, str(root()))
    params = parse_params(profile_values("standard"), "standard")
    return _colour_loops(params, device) | _grey_loops(params, device)


def _colour_loops(params: Params, device: torch.device) -> Pairs:
    from benchmarks.plain_dcgan import PlainDcgan
    from benchmarks.plain_gan import PlainGan
    from benchmarks.plain_mixture import PlainMixture
    from benchmarks.plain_vae import PlainVae

    images = torch.randint(0, 256, (IMAGES, 3, 32, 32), dtype=torch.uint8)
    pictures = [torchvision.transforms.functional.to_pil_image(image) for image in images]
    ready, labels = images.to(device), torch.zeros(IMAGES, dtype=torch.int64, device=device)
    gan = gan_training(params.imbalance.gan, ready, labels, params.seed)
    vae = vae_training(params.imbalance.vae, ready, labels, params.seed)
    config = params.stage1_config("stage1").model_copy(update={"ngf": 64, "ndf": 64})
    dcgan = stage1_training(config, new_stage1(config, channels=3, num_classes=10), (ready, labels))
    plain_dcgan, mixture = PlainDcgan(pictures, device), dcgan.objective.prior
    return {
        "imbalance-gan": (ours(gan, params.precision), PlainGan(pictures, device).run),
        "imbalance-vae": (ours(vae, params.precision), PlainVae(to_unit(images), device).run),
        "dcgan": (ours(dcgan, params.precision), plain_dcgan.run),
        "dcgan-g-step": (generator_steps(dcgan, params.precision), plain_dcgan.generator_steps),
        "mixture-draws": (drawing(mixture, config.batch_size, device), PlainMixture(mixture.means.cpu().numpy(), mixture.variance).run),
    }


def _grey_loops(params: Params, device: torch.device) -> Pairs:
    from benchmarks.plain_cgan import PlainCgan

    images, labels = torch.randint(0, 256, (IMAGES, 1, 28, 28), dtype=torch.uint8), torch.arange(IMAGES) % 10
    pictures = [torchvision.transforms.functional.to_pil_image(image) for image in images]
    pairs = {}
    for loss in ("bce", "wgan-gp"):
        config = params.cgan.config(f"cgan-{loss}").model_copy(update={"generator_width": 128, "critic_width": 64})
        training = conditional_training(config, images.to(device), labels.to(device), 10, params.seed)
        pairs[f"cgan-{loss}"] = ours(training, params.precision), PlainCgan(pictures, labels, device, loss).run
    return pairs


def steps_per_second(run: Callable[[int], None], steps: int, device: torch.device) -> float:
    began = time.perf_counter()
    run(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - began)


def peak_flops(device: torch.device) -> float:
    """Floating-point operations a second of the best of ten bf16 matrix products: the machine's measured limit."""
    size = 2048 if device.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    rates = [steps_per_second(lambda _: a @ b, 1, device) for _ in range(10)]
    return 2 * size**3 * max(rates)


class OperationCounter(TorchDispatchMode):
    """Adds up the floating-point operations of convolutions and matrix products (FlopCounterMode also follows modules, and fails under a gradient penalty)."""

    total = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        count = flop_registry.get(function._overloadpacket)
        self.total += count(*arguments, **(options or {}), out_val=result) if count else 0
        return result


def counted_flops(run: Callable[[int], None]) -> int:
    """Operations of one step, forward and backward."""
    with OperationCounter() as counter:
        run(1)
    return counter.total


def measure(name: str, pair: tuple[Callable, Callable], device: torch.device, peak: float) -> dict:
    """Warm both up, then alternate them; medians over the rounds, spread of their ratio."""
    for run in pair:
        run(3)
    steps = max(2, min(STEPS[device.type], int(SECONDS * steps_per_second(pair[1], 1, device))))
    rates = [[steps_per_second(run, steps, device) for run in pair] for _ in range(ROUNDS)]
    our_rate, plain_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    ratios = [ours / plain for ours, plain in rates]
    flops = counted_flops(pair[0])
    return {
        "loop": name,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "ours_steps_per_second": our_rate,
        "plain_steps_per_second": plain_rate,
        "ratio": our_rate / plain_rate,
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "gflop_per_step": flops / 1e9,
        "peak_share": flops * our_rate / peak,
        "peak_gflops": peak / 1e9,
    }


def main(as_json: bool = False, out: Path = Path("reports/bench.json")) -> None:
    """Measure every loop; print a table, or one JSON object a loop; write them to `out`."""
    device = training_device()
    peak, results = peak_flops(device), []
    if not as_json:
        print(f"measured peak: {peak / 1e9:.0f} GFLOP/s (bf16 matrix product)")
        print(COLUMNS.format("loop", "", "ours", "plain", "ratio", "", "arithmetic", "of peak"))
    for name, pair in loops(device).items():
        result = measure(name, pair, device, peak)
        results.append(result)
        print(json.dumps(result) if as_json else _row(result), flush=True)
    write_json(out, results)


def _row(result: dict) -> str:
    spread = f"{result['ratio_min']:.2f}..{result['ratio_max']:.2f}"
    rates = [f"{result[key]:.1f}/s" for key in ("ours_steps_per_second", "plain_steps_per_second")]
    flops, share = f"{result['gflop_per_step']:.1f} GFLOP", f"{result['peak_share']:.0%}"
    return COLUMNS.format(result["loop"], "steps", *rates, f"{result['ratio']:.2f}", spread, flops, share)
