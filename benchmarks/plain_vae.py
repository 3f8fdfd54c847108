"""Study 1's VAE trained by pythae's own trainer over its own DataLoader."""

import contextlib
import io
import logging
import tempfile

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.cifar import Decoder_ResNet_AE_CIFAR, Encoder_ResNet_VAE_CIFAR
from pythae.trainers import BaseTrainer, BaseTrainerConfig


class PlainVae:
    """`run(n)` trains n steps: one epoch of pythae's trainer over the first n batches.

    Args:
        images: (N, 3, 32, 32) float in [0, 1].
    """

    def __init__(self, images: torch.Tensor, device: torch.device, batch_size: int = 64):
        logging.disable(logging.INFO)
        config = VAEConfig(input_dim=(3, 32, 32), latent_dim=16)
        self.model = VAE(config, encoder=Encoder_ResNet_VAE_CIFAR(config), decoder=Decoder_ResNet_AE_CIFAR(config))
        self.images, self.batch_size, self.device = images, batch_size, device

    def run(self, steps: int) -> None:
        images = self.images[: steps * self.batch_size]
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            config = BaseTrainerConfig(
                output_dir=folder,
                learning_rate=1e-4,
                per_device_train_batch_size=self.batch_size,
                optimizer_cls="AdamW",
                optimizer_params={"weight_decay": 0.05, "betas": (0.91, 0.99)},
                no_cuda=self.device.type == "cpu",
            )
            trainer = BaseTrainer(self.model, BaseDataset(images, torch.zeros(len(images))), training_config=config)
            trainer.prepare_training()
            trainer.train_step(1)
