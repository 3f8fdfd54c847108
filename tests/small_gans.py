"""Study 2's trainings, as small as they get."""

import torch

from modescope.config import GANConfig, parse_params, profile_values
from modescope.models.classifiers import Classifier, build_classifier
from modescope.training.guidance import ClassGuidance
from modescope.training.objective import Training
from modescope.training.two_stage import Stage1, adapted_generator, new_stage1, stage2_training

DEMO = parse_params(profile_values("demo"), "demo")
ROWS = {
    "A": {"add_stage2_input": False, "add_stage2_ff": False},
    "B": {"add_stage2_input": False},
    "C": {"add_stage2_input": False, "add_stage2_ff": False, "add_stage2_conv": True},
    "D": {},
    "D-conv": {"add_stage2_ff": False, "add_stage2_conv": True},
}
ADAPTED = [name for name in ROWS if name != "A"]
SMALL = {
    "latent_dim": 10,
    "sft_input_dim": 10,
    "ngf": 2,
    "ndf": 2,
    "sft_ff_dim": 8,
    "sft_conv_hidden": 2,
    "batch_size": 4,
    "n_gen": 2,
}
IMAGES = torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(40) % 10


def config(row: str = "D", **changes) -> GANConfig:
    """The demo's settings with small networks, for one of ROWS."""
    values = {name: getattr(DEMO, name) for name in GANConfig.model_fields}
    return GANConfig(**values | SMALL | {"stage2_max_generator_steps": 6} | ROWS[row] | changes)


def guide() -> Classifier:
    """An untrained classifier, frozen as a trained one."""
    torch.manual_seed(1)
    return build_classifier("airbench96", [4, 6, 8], 10, 3, "guide").eval().requires_grad_(False)


def stage1(settings: GANConfig) -> Stage1:
    return new_stage1(settings, channels=3, num_classes=10)


def stage2(row: str = "D", device: str = "cpu", **changes) -> Training:
    """Stage 2 from an untrained stage 1, on images of noise."""
    settings, data = config(row, **changes), (IMAGES.to(device), LABELS.to(device))
    start = stage1(settings)
    generator, _ = adapted_generator(settings, start, data[0])
    return stage2_training(
        settings, start._replace(generator=generator), ClassGuidance(guide().to(device), settings.ce_loss_weight), data
    )
