"""The training loops that are measured, on noise: a profile's, and ours beside plain ones at published settings."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import torch

from benchmarks.measure import Run
from benchmarks.plain_cgan import PlainCgan
from benchmarks.plain_dcgan import PlainDcgan
from benchmarks.plain_gan import PlainGan
from benchmarks.plain_mixture import PlainMixture
from benchmarks.plain_stage2 import PlainStage2
from benchmarks.plain_vae import PlainVae
from modescope.config import Params, parse_params, profile_values
from modescope.config.base import Section
from modescope.data.batches import to_unit
from modescope.models.classifiers import Classifier, build_classifier
from modescope.models.vae import build_vae
from modescope.training.cgan import cgan_training
from modescope.training.gan import gan_training
from modescope.training.guidance import ClassGuidance
from modescope.training.hybrid import hybrid_training
from modescope.training.loop import make_iteration, update
from modescope.training.meter import Meter
from modescope.training.objective import Batch, Training
from modescope.training.priors import Prior
from modescope.training.two_stage import adapted_generator, new_stage1, stage1_training, stage2_training
from modescope.training.vae import vae_training
from modescope.vision import torchvision

IMAGES = 4096
NUM_CLASSES = 10
PUBLISHED = {"ngf": 64, "ndf": 64}
STAGE2 = {"stage2-a": "a-0.5-n1", "stage2-b": "b-ff-0.5", "stage2-c": "c-conv-0.5", "stage2-d": "d-ff-0.5"}
STAGE2 |= {f"stage2-ours-{kind}": f"ours-{kind}" for kind in "abcd"}  # loop -> row


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


def trainings(params: Params, colour: Data, grey: Data) -> dict[str, Callable[[], Training]]:
    """What makes a profile's training runs on noise, by loop: those of study 1, stage 1, studies 2 and 3.

    Stage 2 has one step of the generator an iteration, in place of the report's 20.
    """
    models = params.imbalance

    def of_study1(make: Callable, settings: Section) -> Training:
        return make(settings, *colour.ready, params.seed)

    def hybrid() -> Training:
        vae = build_vae(models.vae.latent_dim)
        return hybrid_training(params.hybrid, models.gan, models.vae, vae, *colour.ready, params.seed)

    def stage1(name: str) -> Training:
        config = params.stage1_config(name)
        return stage1_training(config, new_stage1(config, 3, NUM_CLASSES), colour.ready)

    def stage2(row: str) -> Training:
        config = params.stage2_config(row).model_copy(update={"n_gen": 1})
        start = new_stage1(config, 3, NUM_CLASSES)
        generator, _ = adapted_generator(config, start, colour.ready[0])
        guidance = ClassGuidance(untrained_guide(params).to(colour.ready[0].device), config.ce_loss_weight)
        return stage2_training(config, start._replace(generator=generator), guidance, colour.ready)

    def cgan(name: str) -> Training:
        return cgan_training(params.cgan.config(name), *grey.ready, NUM_CLASSES, params.seed)

    return {
        "imbalance-gan": partial(of_study1, gan_training, models.gan),
        "imbalance-vae": partial(of_study1, vae_training, models.vae),
        "gan-ours": partial(of_study1, gan_training, models.gan_ours),
        "hybrid": hybrid,
        "dcgan": partial(stage1, "stage1"),
        "stage1-ours": partial(stage1, "stage1-ours"),
        **{loop: partial(stage2, row) for loop, row in STAGE2.items()},
        "cgan-bce": partial(cgan, "cgan-bce"),
        "cgan-wgan-gp": partial(cgan, "cgan-wgan-gp"),
    }


def untrained_guide(params: Params) -> Classifier:
    """The network that guides, frozen."""
    settings = params.classifiers["rgb-guide"]
    torch.manual_seed(params.seed)
    return build_classifier(settings.network, settings.widths, NUM_CLASSES, 3, "guide").eval().requires_grad_(False)


def of_profile(profile: str) -> dict[str, Callable[[], Training]]:
    """`trainings` of a profile, on the CPU."""
    cpu = torch.device("cpu")
    return trainings(parse_params(profile_values(profile), profile), Data(3, 32, cpu), Data(1, 28, cpu))


def all_loops(device: torch.device) -> list[Loop]:
    """Every training loop at published widths beside a plain one, its halves, and the draws of a mixture."""
    values = profile_values("standard") | PUBLISHED
    values["cgan"]["training"] |= {"generator_width": 128, "critic_width": 64}
    params, colour, grey = parse_params(values, "standard"), Data(3, 32, device), Data(1, 28, device)
    made, size, critic = trainings(params, colour, grey), params.batch_size, params.cgan.config("cgan-wgan-gp")
    prior = new_stage1(params.stage1_config("stage1"), 3, NUM_CLASSES).prior

    def loop(name: str, images: int, plain: Callable[[], Run]) -> Loop:
        return Loop(name, images, lambda: steps_of(made[name](), params.precision), plain)

    def stage2(kind: str) -> Run:
        guide = untrained_guide(params).to(device)
        return PlainStage2(colour.pictures, device, kind, guide, params.sft_conv_hidden).run

    def cgan(loss: str) -> Run:
        return PlainCgan(grey.pictures, grey.labels, device, loss).run

    return [
        loop("imbalance-gan", params.imbalance.gan.batch_size, lambda: PlainGan(colour.pictures, device).run),
        loop("imbalance-vae", params.imbalance.vae.batch_size, lambda: PlainVae(to_unit(colour.images), device).run),
        loop("dcgan", size, lambda: PlainDcgan(colour.pictures, device).run),
        Loop(
            "dcgan-g-step",
            size,
            lambda: generator_steps(made["dcgan"](), params.precision),
            lambda: PlainDcgan(colour.pictures, device).generator_steps,
        ),
        Loop(
            "mixture-draws",
            size,
            lambda: drawing(prior, size, device),
            lambda: PlainMixture(prior.means.cpu().numpy(), prior.variance).run,
        ),
        *(loop(f"stage2-{kind}", size, partial(stage2, kind)) for kind in "abcd"),
        loop("cgan-bce", critic.batch_size, partial(cgan, "bce")),
        loop("cgan-wgan-gp", critic.batch_size * critic.n_critic, partial(cgan, "wgan-gp")),
    ]
