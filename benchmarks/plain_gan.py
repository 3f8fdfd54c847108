"""Study 1's GAN as a tutorial writes it: PIL images, DataLoader, float32, one optimiser call after the other."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from modescope.vision import torchvision

transforms = torchvision.transforms


def generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(100, 128 * 8 * 8),
        nn.ReLU(),
        nn.Unflatten(1, (128, 8, 8)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 128, 3, padding=1),
        nn.BatchNorm2d(128, momentum=0.78),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(128, 64, 3, padding=1),
        nn.BatchNorm2d(64, momentum=0.78),
        nn.ReLU(),
        nn.Conv2d(64, 3, 3, padding=1),
        nn.Tanh(),
    )


def discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Dropout(0.25),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ZeroPad2d((0, 1, 0, 1)),
        nn.BatchNorm2d(64, momentum=0.82),
        nn.LeakyReLU(0.25, inplace=True),
        nn.Dropout(0.25),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.BatchNorm2d(128, momentum=0.82),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Dropout(0.25),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.BatchNorm2d(256, momentum=0.8),
        nn.LeakyReLU(0.25, inplace=True),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(256 * 5 * 5, 1),
        nn.Sigmoid(),
    )


class PlainGan:
    """`run(n)` trains n steps on `pictures`, a list of PIL images."""

    def __init__(self, pictures: list, device: torch.device, batch_size: int = 32):
        prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
        dataset = [(picture, 0) for picture in pictures]
        self.loader = DataLoader(
            dataset,
            batch_size,
            shuffle=True,
            drop_last=True,
            collate_fn=lambda rows: torch.stack([prepare(p) for p, _ in rows]),
        )
        self.device = device
        self.generator, self.discriminator = generator().to(device), discriminator().to(device)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.criterion = nn.BCELoss()
        self.batches = self.endless()

    def endless(self):
        while True:
            yield from self.loader

    def run(self, steps: int) -> None:
        for _ in range(steps):
            real = next(self.batches).to(self.device)
            valid, fake = torch.ones(len(real), 1, device=self.device), torch.zeros(len(real), 1, device=self.device)
            images = self.generator(torch.randn(len(real), 100, device=self.device))

            self.discriminator_optimizer.zero_grad()
            real_loss = self.criterion(self.discriminator(real), valid)
            fake_loss = self.criterion(self.discriminator(images.detach()), fake)
            d_loss = (real_loss + fake_loss) / 2
            d_loss.backward()
            self.discriminator_optimizer.step()

            self.generator_optimizer.zero_grad()
            g_loss = self.criterion(self.discriminator(images), valid)
            g_loss.backward()
            self.generator_optimizer.step()
            self.last_losses = d_loss.item(), g_loss.item()  # as the progress line of a tutorial reads them
