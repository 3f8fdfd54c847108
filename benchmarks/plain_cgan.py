"""Study 3's conditional GAN as a tutorial writes it.

PIL images, DataLoader, float32, contiguous memory, one optimiser call after the other.
"""

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.data import DataLoader

from modescope.vision import torchvision

transforms = torchvision.transforms


def init(layer: nn.Module) -> nn.Module:
    if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.zeros_(layer.bias)
    return layer


def icnr(conv: nn.Conv2d) -> None:
    with torch.no_grad():
        conv.weight.copy_(conv.weight[::4].repeat_interleave(4, 0))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(100, 128 * 7 * 7),
            nn.ReLU(True),
            nn.Unflatten(1, (128, 7, 7)),
            nn.Conv2d(128, 512, 3, padding=1),
            nn.PixelShuffle(2),
            nn.BatchNorm2d(128, momentum=0.8),
            nn.ReLU(True),
            nn.Conv2d(128, 256, 3, padding=1),
            nn.PixelShuffle(2),
            nn.BatchNorm2d(64, momentum=0.8),
            nn.ReLU(True),
            nn.Conv2d(64, 1, 3, padding=1),
            nn.Tanh(),
        )
        self.embedding = nn.Embedding(10, 100)
        self.apply(init)
        icnr(self.layers[3])
        icnr(self.layers[7])

    def forward(self, z, labels):
        return self.layers(z * self.embedding(labels))


class Discriminator(nn.Module):
    def __init__(self, layers: nn.Sequential):
        super().__init__()
        self.label_map = init(nn.Embedding(10, 28 * 28))
        self.layers = layers

    def forward(self, images, labels):
        label_map = self.label_map(labels).view(-1, 1, 28, 28)
        return self.layers(torch.cat([images, label_map], 1)).squeeze(1)


def discriminator() -> Discriminator:
    return Discriminator(
        nn.Sequential(
            spectral_norm(init(nn.Conv2d(2, 32, 3, stride=2, padding=1))),
            nn.LeakyReLU(0.2, True),
            nn.Dropout(0.25),
            spectral_norm(init(nn.Conv2d(32, 64, 3, stride=2, padding=1))),
            nn.LeakyReLU(0.2, True),
            nn.Dropout(0.25),
            nn.Flatten(),
            spectral_norm(init(nn.Linear(64 * 7 * 7, 512))),
            nn.ReLU(True),
            nn.Dropout(0.25),
            spectral_norm(init(nn.Linear(512, 1))),
        )
    )


def critic() -> Discriminator:
    layers = nn.Sequential(
        nn.Conv2d(2, 64, 3, stride=2, padding=1),
        nn.LayerNorm([64, 14, 14]),
        nn.LeakyReLU(0.2, True),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.LayerNorm([128, 7, 7]),
        nn.LeakyReLU(0.2, True),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 512),
        nn.LayerNorm(512),
        nn.LeakyReLU(0.2, True),
        nn.Linear(512, 1),
    )
    return Discriminator(layers.apply(init))


class PlainCgan:
    """`run(n)` trains n generator steps on `pictures`, a list of PIL images, and their labels; `loss` is bce or
    wgan-gp.
    """

    def __init__(self, pictures: list, labels: list, device: torch.device, loss: str = "bce", batch_size: int = 128):
        prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])

        def collate(rows):
            return torch.stack([prepare(picture) for picture, _ in rows]), torch.tensor([label for _, label in rows])

        dataset = [(picture, int(label)) for picture, label in zip(pictures, labels, strict=True)]
        self.loader = DataLoader(dataset, batch_size, shuffle=True, drop_last=True, collate_fn=collate)
        self.device, self.batch_size, self.is_wgan = device, batch_size, loss == "wgan-gp"
        self.n_critic, betas = (5, (0.0, 0.9)) if self.is_wgan else (1, (0.5, 0.999))
        self.generator, self.discriminator = (
            Generator().to(device),
            (critic() if self.is_wgan else discriminator()).to(device),
        )
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), lr=1e-4, betas=betas)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=4e-4, betas=betas)
        self.criterion = nn.BCEWithLogitsLoss()
        self.smooth = torch.full((batch_size,), 0.9, device=device)
        self.valid, self.fake = torch.ones(batch_size, device=device), torch.zeros(batch_size, device=device)
        self.batches = self.endless()

    def endless(self):
        while True:
            yield from self.loader

    def noise(self):
        return torch.randn(self.batch_size, 100, device=self.device)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            for _ in range(self.n_critic):
                d_loss = self.discriminator_step()
            self.last_losses = (
                d_loss.item(),
                self.generator_step().item(),
            )  # as the progress line of a tutorial reads them

    def discriminator_step(self):
        real, labels = (tensor.to(self.device) for tensor in next(self.batches))
        fake = self.generator(self.noise(), labels).detach()
        self.discriminator_optimizer.zero_grad()
        real_logits, fake_logits = self.discriminator(real, labels), self.discriminator(fake, labels)
        if self.is_wgan:
            d_loss = fake_logits.mean() - real_logits.mean() + 10 * self.gradient_penalty(real, fake, labels)
        else:
            d_loss = (self.criterion(real_logits, self.smooth) + self.criterion(fake_logits, self.fake)) / 2
        d_loss.backward()
        self.discriminator_optimizer.step()
        return d_loss

    def gradient_penalty(self, real, fake, labels):
        alpha = torch.rand(len(real), 1, 1, 1, device=self.device)
        between = (alpha * real + (1 - alpha) * fake).requires_grad_()
        scores = self.discriminator(between, labels)
        gradients = torch.autograd.grad(scores, between, grad_outputs=torch.ones_like(scores), create_graph=True)[0]
        return ((gradients.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()

    def generator_step(self):
        labels = torch.randint(10, (self.batch_size,), device=self.device)
        self.generator_optimizer.zero_grad()
        fake_logits = self.discriminator(self.generator(self.noise(), labels), labels)
        g_loss = -fake_logits.mean() if self.is_wgan else self.criterion(fake_logits, self.valid)
        g_loss.backward()
        self.generator_optimizer.step()
        return g_loss
