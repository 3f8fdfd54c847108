"""Study 2's DCGAN as a tutorial writes it.

PIL images, DataLoader, float32, contiguous memory, one optimiser call after the other.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader

from modescope.vision import torchvision

transforms = torchvision.transforms


def generator(ngf: int = 64) -> nn.Module:
    return nn.Sequential(
        nn.Linear(100, ngf * 8 * 4 * 4),
        nn.Unflatten(1, (ngf * 8, 4, 4)),
        nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1),
        nn.BatchNorm2d(ngf * 4),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1),
        nn.BatchNorm2d(ngf * 2),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1),
        nn.BatchNorm2d(ngf),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf, 3, 1),
        nn.Tanh(),
    )


def discriminator(ndf: int = 64) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, ndf, 4, 2, 1),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(ndf, ndf * 2, 4, 2, 1),
        nn.BatchNorm2d(ndf * 2),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1),
        nn.BatchNorm2d(ndf * 4),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1),
        nn.BatchNorm2d(ndf * 8),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(ndf * 8, 1, 2),
        nn.Flatten(0),
    )


class PlainDcgan:
    """`run(n)` trains n steps of both players on `pictures`, a list of PIL images; `generator_steps(n)` trains the
    generator alone.
    """

    def __init__(self, pictures: list, device: torch.device, batch_size: int = 128):
        prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
        dataset = [(picture, 0) for picture in pictures]
        self.loader = DataLoader(
            dataset,
            batch_size,
            shuffle=True,
            drop_last=True,
            collate_fn=lambda rows: torch.stack([prepare(p) for p, _ in rows]),
        )
        self.device, self.batch_size = device, batch_size
        self.generator, self.discriminator = generator().to(device), discriminator().to(device)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.criterion = nn.BCEWithLogitsLoss()
        self.valid, self.fake = torch.ones(batch_size, device=device), torch.zeros(batch_size, device=device)
        self.batches = self.endless()

    def endless(self):
        while True:
            yield from self.loader

    def sample(self):
        labels = torch.randint(10, (self.batch_size,), device=self.device)
        return 0.5 * labels[:, None] + torch.randn(self.batch_size, 100, device=self.device), labels

    def generator_loss(self, images, labels):
        return self.criterion(self.discriminator(images), self.valid)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            real = next(self.batches).to(self.device)
            z, _ = self.sample()
            images = self.generator(z).detach()
            self.discriminator_optimizer.zero_grad()
            d_loss = self.criterion(self.discriminator(real), self.valid) + self.criterion(
                self.discriminator(images), self.fake
            )
            d_loss.backward()
            self.discriminator_optimizer.step()
            self.generator_steps(1)

    def generator_steps(self, steps: int) -> None:
        for _ in range(steps):
            self.generator_optimizer.zero_grad()
            z, labels = self.sample()
            g_loss = self.generator_loss(self.generator(z), labels)
            g_loss.backward()
            self.generator_optimizer.step()
            self.last_loss = g_loss.item()  # as the progress line of a tutorial reads it
