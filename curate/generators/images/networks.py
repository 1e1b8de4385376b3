"""The networks of the image generator: diffusers' UNet, on plain or unshuffled pixels, and a residual MLP for tiny images."""

from __future__ import annotations

from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn
from torch.nn import functional

from curate.errors import SettingError


class UNet(nn.Module):  # type: ignore[misc]
    """diffusers' UNet2DModel with a class embedding.

    With `unshuffle` r each r×r square becomes r² channels first, which makes the same network about r² times cheaper.

    Args:
        side: (height, width) in pixels, both divisible by unshuffle · 2^(levels − 1).
        channels: of the image.
        widths: channels of each level; each level but the last halves the sides.
        layers: residual blocks a level.
        attention: whether the lowest level and the middle attend.
        classes: labels; one more, the last, is the null label.
    """

    def __init__(
        self,
        *,
        side: tuple[int, int],
        channels: int,
        widths: tuple[int, ...],
        layers: int,
        attention: bool,
        unshuffle: int,
        dropout: float,
        classes: int,
    ) -> None:
        from diffusers import UNet2DModel  # seconds, which the MLP need not wait for

        super().__init__()
        lower = len(widths) - 1
        self.unshuffle, self.null_label = unshuffle, classes
        self.unet = UNet2DModel(
            sample_size=(side[0] // unshuffle, side[1] // unshuffle),
            in_channels=channels * unshuffle**2,
            out_channels=channels * unshuffle**2,
            block_out_channels=widths,
            layers_per_block=layers,
            down_block_types=("DownBlock2D",) * lower + ("AttnDownBlock2D" if attention else "DownBlock2D",),
            up_block_types=("AttnUpBlock2D" if attention else "UpBlock2D",) + ("UpBlock2D",) * lower,
            add_attention=attention,
            attention_head_dim=min(32, widths[-1]),
            norm_num_groups=min(32, widths[0] // 4),
            dropout=dropout,
            resnet_time_scale_shift="scale_shift",
            num_class_embeds=classes + 1,
        )

    def forward(self, noisy: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W), times (B,) from 0 to 1000, label numbers (B,) to (B, C, H, W)."""
        if self.unshuffle > 1:
            noisy = functional.pixel_unshuffle(noisy, self.unshuffle)
        out = self.unet(noisy, times, class_labels=labels, return_dict=False)[0]
        return functional.pixel_shuffle(out, self.unshuffle) if self.unshuffle > 1 else out


class ResidualMLP(nn.Module):  # type: ignore[misc]
    """Residual blocks on the flattened image, each modulated by time and label (adaLN-Zero).

    Source of the modulation: Peebles & Xie 2023 (arXiv:2212.09748, section 3.2).
    """

    def __init__(self, *, side: tuple[int, int], channels: int, width: int, blocks: int, dropout: float, classes: int) -> None:
        super().__init__()
        values = side[0] * side[1] * channels
        self.null_label = classes
        self.time_proj = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(width, width)
        self.class_embedding = nn.Embedding(classes + 1, width)
        self.into = nn.Linear(values, width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, values)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, noisy: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """(B, C, H, W), times (B,) from 0 to 1000, label numbers (B,) to (B, C, H, W)."""
        about = functional.silu(self.time_embedding(self.time_proj(times)) + self.class_embedding(labels))  # (B, width)
        hidden = self.into(noisy.flatten(1))  # (B, width)
        for block in self.blocks:
            hidden = block(hidden, about)
        return self.out(functional.silu(self.norm(hidden))).view_as(noisy)


class _Block(nn.Module):  # type: ignore[misc]
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 3 * width)
        self.widen = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(2 * width, width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, hidden: Tensor, about: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(about).chunk(3, dim=1)
        inner = functional.silu(self.widen(self.norm(hidden) * (1 + scale) + shift))
        return hidden + gate * self.narrow(self.dropout(inner))


def check_widths(widths: tuple[int, ...]) -> None:
    """Raise SettingError unless a UNet's widths divide by its normalisation groups."""
    groups = min(32, widths[0] // 4)
    if groups < 1 or any(width % groups for width in widths):
        raise SettingError(f"widths must all divide by {max(groups, 1)} normalisation groups, got {widths}")
