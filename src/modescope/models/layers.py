"""Standard layers in a faster form: the same functions of the same parameters."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

# TAPS[p, t, y] = 1 where row y of a 3x3 kernel, seen from rows of parity p of the doubled image, reads tap t of a 2x2
# kernel. Doubled rows 2i and 2i + 1 are both row i. Around 2i (parity 0) the kernel's rows read i - 1, i, i: tap 0 is
# weight 0, tap 1 the sum of weights 1 and 2. Around 2i + 1 (parity 1) they read i, i, i + 1.
TAPS = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])
# POOLED[t, y]: how much of row y of a 3x3 kernel is in row t of the 4x4 kernel that convolves and pools two rows.
POOLED = torch.tensor([[0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 0.5]])


class UpsampleConv2d(nn.Conv2d):
    """Nearest-neighbour upsampling by 2 followed by a 3x3 convolution with padding 1, in 4/9 of the multiplications.

    A 3x3 kernel over a doubled image reads every pixel up to four times. Seen from each of the four parities of the
    output it is a 2x2 kernel over the small image, whose taps are sums of the nine weights; one convolution computes
    all four, and the result is interleaved. Parameters and state are those of `nn.Conv2d(channels_in, channels_out, 3,
    padding=1)`.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 3, padding=1)
        self.register_buffer("taps", TAPS, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels_out, 2H, 2W)."""
        kernels = torch.einsum("oiyx,pty,qsx->pqoits", self.weight, self.taps, self.taps)
        kernels = kernels.flatten(0, 2)  # (4 * out, in, 2, 2)
        parities = F.conv2d(images, kernels, self.bias.repeat(4), padding=1)  # (N, 4 * out, H + 1, W + 1)
        return _Interleave.apply(parities, self.out_channels)


class _Interleave(torch.autograd.Function):
    """(N, 4C, H + 1, W + 1), parities (row, column) outermost in the channels -> (N, C, 2H, 2W); a strided copy."""

    @staticmethod
    def _windows(parities: Tensor, channels: int) -> Tensor:
        """A view (N, H, 2, W, 2, C): parity p of a row starts p pixels further down."""
        count, _, height, width = parities.shape
        by_image, by_channel, by_row, by_column = parities.stride()
        next_row, next_column = by_row + 2 * channels * by_channel, by_column + channels * by_channel  # of parity
        shape = (count, height - 1, 2, width - 1, 2, channels)
        return parities.as_strided(shape, (by_image, by_row, next_row, by_column, next_column, by_channel))

    @staticmethod
    def forward(context, parities: Tensor, channels: int) -> Tensor:
        context.shape, context.channels = parities.shape, channels
        count, _, height, width = parities.shape
        doubled = _Interleave._windows(parities, channels).reshape(count, 2 * height - 2, 2 * width - 2, channels)
        return doubled.permute(0, 3, 1, 2)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        spread = torch.zeros(context.shape, dtype=gradient.dtype, device=gradient.device)
        spread = spread.to(memory_format=torch.channels_last)
        windows = _Interleave._windows(spread, context.channels)
        windows.copy_(gradient.permute(0, 2, 3, 1).reshape(windows.shape))
        return spread, None


class DownsampleConv2d(nn.Conv2d):
    """A 3x3 convolution with padding 1 followed by 2x2 average pooling, in 4/9 of the multiplications.

    It is one 4x4 convolution of stride 2, whose taps are means of the nine weights. Parameters and state are those of
    `nn.Conv2d(channels_in, channels_out, 3, padding=1)`.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 3, padding=1)
        self.register_buffer("pooled", POOLED, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels_out, H / 2, W / 2), H and W even."""
        kernels = torch.einsum("oiyx,ty,sx->oits", self.weight, self.pooled, self.pooled)
        return F.conv2d(images, kernels, self.bias, stride=2, padding=1)


class SpectralNorm(_SpectralNorm):
    """torch's, in float32 whatever the arithmetic: CUDA's autocast would iterate in bfloat16."""

    def forward(self, weight: Tensor) -> Tensor:
        """weight / sigma(weight), by one step of the power iteration (Miyato et al. 2018, algorithm 1)."""
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def spectral_norm(layer: nn.Module) -> nn.Module:
    """Normalise the weight of `layer`, in the state of `torch.nn.utils.parametrizations.spectral_norm`."""
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return layer


class Dropout(nn.Dropout):
    """`nn.Dropout`, whose mask a CPU cuts from 64-bit random words, four elements a word; p is exact to 2**-16."""

    def forward(self, activations: Tensor) -> Tensor:
        if activations.is_cuda or not self.training or self.p == 0:
            return super().forward(activations)
        # Read as int16, a random word is four numbers uniform on [-2^15, 2^15), so that a number is at least
        # p 2^16 - 2^15 with probability 1 - p.
        words = torch.empty(-(-activations.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: activations.numel()] >= round(self.p * 2**16) - 2**15
        scale = kept.to(activations.dtype).mul_(1 / (1 - self.p))
        return activations * torch.as_strided(scale, activations.shape, activations.stride())


def check_shape(batch: Tensor, name: str, *shape: int) -> None:
    """Raises ValueError unless `batch` is (N, *shape)."""
    if tuple(batch.shape[1:]) != shape:
        raise ValueError(f"expected {name} of shape (N, {', '.join(map(str, shape))}), got {tuple(batch.shape)}")


def check_labels(labels: Tensor | None, num_classes: int | None) -> None:
    """Raises ValueError unless `labels` are given exactly where there are classes."""
    if labels is None and num_classes is not None:
        raise ValueError("expected labels, got none")
    if labels is not None and num_classes is None:
        raise ValueError("expected no labels: the network has no classes")
