"""Settings of the diffusion models, and the presets with what was measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from curate.generators.images.family import ImageSettings
from curate.generators.images.networks import check_widths
from curate.generators.training.settings import DrawSettings, Preset, as_tuple

Width = Annotated[int, Field(ge=4)]
Sampler = Literal["euler", "ddim", "midpoint", "heun"]


class DiffusionSettings(ImageSettings):
    """Settings of a training, and what draws use unless told otherwise.

    Attributes:
        objective: "flow_matching", "epsilon" (DDPM's mean squared error on the noise) or "v_prediction".
        noise_schedule: of the last two.
        network: "unet", or "mlp" for images of up to about 16×16.
        widths: channels of the UNet's levels; one number for the MLP.
        layers: residual blocks a level; all blocks of the MLP.
        attention: in the UNet's lowest level and middle.
        unshuffle: r, to run the UNet on r×r pixels as r² channels.
        dropout: inside the network.
        sampler, sample_steps, guidance: of draws. Guidance above 1 lowers recall: for show, not for training data; any but 0
            and 1 needs label_dropout.
    """

    RENAMED: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "objective": {"flow": "flow_matching", "noise": "epsilon", "velocity": "v_prediction"}
    }

    objective: Literal["flow_matching", "epsilon", "v_prediction"] = "flow_matching"
    noise_schedule: Literal["linear", "cosine"] = "cosine"
    network: Literal["unet", "mlp"] = "unet"
    widths: Annotated[tuple[Width, ...], BeforeValidator(as_tuple), Field(min_length=1)] = (64, 128)
    layers: int = Field(default=1, ge=1)
    attention: bool = True
    unshuffle: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    sampler: Sampler = "heun"
    sample_steps: int = Field(default=20, ge=1)
    guidance: float = Field(default=1.0, ge=0)

    def model_post_init(self, context: Any) -> None:
        """Check what depends on two settings."""
        if self.network == "unet":
            check_widths(self.widths)
        self.require("widths", self.network == "unet" or len(self.widths) == 1, "one number for the MLP")
        self.require("guidance", self.guidance in (0, 1) or self.label_dropout > 0, "0 or 1 where label_dropout is 0")


class DiffusionDraw(DrawSettings):
    """Settings of a draw.

    Attributes:
        sampler: of the differential equation.
        steps: of the sampler.
        guidance: w + 1 of classifier-free guidance; 0 leaves the label out, 1 is without guidance.
    """

    sampler: Sampler
    steps: int = Field(ge=1)
    guidance: float = Field(ge=0, lt=100)


TINY = DiffusionSettings(
    network="mlp",
    widths=(384,),
    layers=4,
    max_side=16,
    steps=800,
    batch_size=256,
    learning_rate=2e-3,
    schedule="one-cycle",
    warmup=0.3,
    ema_decay=0.995,
    validate_every=200,
)
SMALL = DiffusionSettings(
    widths=(32, 64),
    unshuffle=2,
    steps=5000,
    batch_size=64,
    learning_rate=1e-3,
    schedule="one-cycle",
    warmup=0.1,
    ema_decay=0.999,
    validate_every=500,
    validation_limit=512,
)
BASE = DiffusionSettings(
    widths=(128, 256, 256, 512),
    layers=2,
    max_side=64,
    steps=100_000,
    batch_size=128,
    learning_rate=2e-4,
    warmup=0.01,
    dropout=0.1,
    ema_decay=0.9999,
    validate_every=2000,
    draw_batch=64,
)
PRESETS = {
    "tiny": Preset(
        TINY,
        "scikit-learn's digits, 1,437 to train and 180 to test, which only the leak gate had seen: TSTR 0.978 beside TRTR "
        "0.993 (support vector classifier on pixels), coverage 0.989 beside 0.986, 19 of 1,100 draws refused; "
        "83 s on two idle AVX2 cores, 134 to 191 s on busy ones",
    ),
    "small": Preset(
        SMALL,
        "Fashion-MNIST, 55,950 to train and 6,994 to test: TSTR 0.802 beside TRTR 0.810 (small convolutional network), "
        "0.838 beside 0.852 (support vector classifier on pixels), each on 3,186 rows; coverage of pixels 0.943 beside "
        "0.970; 3,186 of 4,000 draws accepted; 49 minutes on one core of a busy AVX2 machine",
    ),
    "base": Preset(BASE, "not measured: meant for a GPU, and for images of 64×64 and more"),
}
