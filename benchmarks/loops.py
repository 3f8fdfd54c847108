"""The training loops that are measured: ours and plain ones of the same networks, at published settings, on noise."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.measure import Run
from benchmarks.plain_cgan import PlainCgan
from benchmarks.plain_dcgan import PlainDcgan
from benchmarks.plain_gan import PlainGan
from benchmarks.plain_mixture import PlainMixture
from benchmarks.plain_stage2 import PlainStage2
from benchmarks.plain_vae import PlainVae
from modescope.config import GANConfig, Params, parse_params, profile_values
from modescope.config.base import Section
from modescope.data.batches import to_unit
from modescope.models.classifiers import Classifier, build_classifier
from modescope.training.cgan import cgan_training
from modescope.training.gan import gan_training
from modescope.training.guidance import ClassGuidance
from modescope.training.loop import make_iteration, update
from modescope.training.meter import Meter
from modescope.training.objective import Batch, Training
from modescope.training.priors import Prior
from modescope.training.two_stage import Stage1, adapted_generator, new_stage1, stage1_training, stage2_training
from modescope.training.vae import vae_training
from modescope.vision import torchvision

IMAGES = 4096
NUM_CLASSES = 10
PUBLISHED = {"ngf": 64, "ndf": 64}
ARCHITECTURES = {  # of stage 2, with one step of each network, in place of the report's 20 of the generator
    "a": {"add_stage2_input": False, "add_stage2_ff": False},
    "b": {"add_stage2_input": False},
    "c": {"add_stage2_input": False, "add_stage2_ff": False, "add_stage2_conv": True},
    "d": {},
}


class Loop(NamedTuple):
    """What is compared.

    Attributes:
        images: how many real ones a step shows (of `mixture-draws`: how many draws it makes).
        ours, plain: make the loops.
    """

    name: str
    images: int
    ours: Callable[[], Run]
    plain: Callable[[], Run]


def steps_of(training: Training, precision: str) -> Run:
    """Our loop: no files, and no eval pass, which the plain loops leave out too."""
    iteration, done = make_iteration(training, Meter(), precision), 0

    def run(steps: int) -> None:
        nonlocal done
        for step in range(done, done + steps):
            iteration(training.rows(step))
        done += steps

    return run


def generator_steps(training: Training, precision: str) -> Run:
    """The generator's half of adversarial training, without a CUDA graph."""
    objective, stream, _ = training
    generator, batch = objective.phases[1], Batch(*stream.batch(0))

    def run(steps: int) -> None:
        for _ in range(steps):
            update(objective, generator, batch, precision)

    return run


def drawing(prior: Prior, count: int, device: torch.device) -> Run:
    """Draws of `count` latent vectors."""

    def run(steps: int) -> None:
        for _ in range(steps):
            prior.sample(count, device)

    return run


class Data:
    """Random images and labels as each loop wants them."""

    def __init__(self, channels: int, pixels: int, device: torch.device):
        self.images = torch.randint(0, 256, (IMAGES, channels, pixels, pixels), dtype=torch.uint8)
        self.labels = torch.arange(IMAGES) % NUM_CLASSES
        self.ready = self.images.to(device), self.labels.to(device)

    @cached_property
    def pictures(self) -> list:
        """PIL images."""
        return [torchvision.transforms.functional.to_pil_image(image) for image in self.images]


def all_loops(device: torch.device) -> list[Loop]:
    """Every training loop."""
    params = parse_params(profile_values("standard"), "standard")
    colour, grey = Data(3, 32, device), Data(1, 28, device)
    return [*_study1(params, colour, device), *_study2(params, colour, device), *_study3(params, grey, device)]


def _study1(params: Params, data: Data, device: torch.device) -> list[Loop]:
    def ours(make_training: Callable, settings: Section) -> Run:
        return steps_of(make_training(settings, *data.ready, params.seed), params.precision)

    gan, vae = params.imbalance.gan, params.imbalance.vae
    return [
        Loop(
            "imbalance-gan",
            gan.batch_size,
            partial(ours, gan_training, gan),
            lambda: PlainGan(data.pictures, device).run,
        ),
        Loop(
            "imbalance-vae",
            vae.batch_size,
            partial(ours, vae_training, vae),
            lambda: PlainVae(to_unit(data.images), device).run,
        ),
    ]


def _study2(params: Params, data: Data, device: torch.device) -> list[Loop]:
    config = params.stage1_config("stage1").model_copy(update=PUBLISHED)
    guide = untrained_guide(params).to(device)

    def start() -> Stage1:
        return new_stage1(config, channels=3, num_classes=NUM_CLASSES)

    def stage1() -> Training:
        return stage1_training(config, start(), data.ready)

    def ours(kind: str) -> Run:
        values = {name: getattr(params, name) for name in GANConfig.model_fields}
        chosen = GANConfig(**values | PUBLISHED | {"n_gen": 1} | ARCHITECTURES[kind])
        return steps_of(stage2_from_new(chosen, guide, data.ready), params.precision)

    def plain(kind: str) -> Run:
        return PlainStage2(data.pictures, device, kind, guide, params.sft_conv_hidden).run

    size, prior = config.batch_size, start().prior
    return [
        Loop(
            "dcgan", size, lambda: steps_of(stage1(), params.precision), lambda: PlainDcgan(data.pictures, device).run
        ),
        Loop(
            "dcgan-g-step",
            size,
            lambda: generator_steps(stage1(), params.precision),
            lambda: PlainDcgan(data.pictures, device).generator_steps,
        ),
        Loop(
            "mixture-draws",
            size,
            lambda: drawing(prior, size, device),
            lambda: PlainMixture(prior.means.cpu().numpy(), prior.variance).run,
        ),
        *(Loop(f"stage2-{kind}", size, partial(ours, kind), partial(plain, kind)) for kind in ARCHITECTURES),
    ]


def stage2_from_new(config: GANConfig, guide: Classifier, data: tuple[Tensor, Tensor]) -> Training:
    """Stage 2 from a stage 1 that is not trained."""
    start = new_stage1(config, channels=3, num_classes=NUM_CLASSES)
    generator, _ = adapted_generator(config, start, data[0])
    guidance = ClassGuidance(guide, config.ce_loss_weight)
    return stage2_training(config, start._replace(generator=generator), guidance, data)


def untrained_guide(params: Params) -> Classifier:
    """The network that guides, frozen."""
    settings = params.classifiers["rgb-guide"]
    torch.manual_seed(params.seed)
    return build_classifier(settings.network, settings.widths, NUM_CLASSES, 3, "guide").eval().requires_grad_(False)


def _study3(params: Params, data: Data, device: torch.device) -> list[Loop]:
    def loop(loss: str) -> Loop:
        config = params.cgan.config(f"cgan-{loss}").model_copy(update={"generator_width": 128, "critic_width": 64})
        return Loop(
            f"cgan-{loss}",
            config.batch_size * config.n_critic,
            lambda: steps_of(cgan_training(config, *data.ready, NUM_CLASSES, params.seed), params.precision),
            lambda: PlainCgan(data.pictures, data.labels, device, loss).run,
        )

    return [loop("bce"), loop("wgan-gp")]
