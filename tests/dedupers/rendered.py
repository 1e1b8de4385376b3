"""Pictures of one layout with other contents: screens, forms, charts, and animations that share frames."""

from __future__ import annotations

import io
import random
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WORDS = ["order", "failed", "welcome", "locked", "again", "cart", "items", "shipping", "delete", "session", "expired"]


def packed(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as an encoded file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, ink: str = "black") -> None:
    pen.text(place, text, fill=ink, font=ImageFont.load_default(size=size))


def screen(seed: int) -> Image.Image:
    """A window with a message."""
    picture = Image.new("RGB", (800, 600), "#f0f0f5")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, 0, 800, 60), fill="#283c78")
    pen.rectangle((0, 60, 160, 600), fill="#dcdce6")
    pen.rectangle((250, 200, 650, 420), fill="white", outline="black")
    _write(pen, (300, 290), " ".join(random.Random(seed).sample(WORDS, 3)), 26)
    return picture


def invoice(seed: int) -> Image.Image:
    """A page of which the number and the total differ."""
    rng, picture = random.Random(seed), Image.new("RGB", (1000, 1414), "white")
    pen = ImageDraw.Draw(picture)
    _write(pen, (80, 80), "ACME Trading Ltd", 40)
    _write(pen, (80, 260), f"Invoice no. {rng.randrange(10**5, 10**6)}", 26)
    for line in range(8):
        _write(pen, (90, 360 + line * 60), f"Article number {line + 1}, blue, large", 22)
        _write(pen, (800, 360 + line * 60), f"{17 + line * 31}.50", 22)
    _write(pen, (680, 900), f"Total  {rng.randrange(1000, 9999)}.00", 28)
    return picture


def terminal(seed: int) -> Image.Image:
    """Light text on a dark ground, of which one line differs."""
    same, other, picture = random.Random(7), random.Random(seed), Image.new("RGB", (800, 500), "#141414")
    pen = ImageDraw.Draw(picture)
    for line in range(22):
        words = (other if line == 9 else same).choices(WORDS, k=6)
        _write(pen, (10, 8 + line * 22), "$ " + " ".join(words), 15, "#c8dcc8")
    return picture


def chart(seed: int) -> Image.Image:
    """Bars of other heights on the same axes."""
    rng, picture = random.Random(seed), Image.new("RGB", (640, 480), "white")
    pen = ImageDraw.Draw(picture)
    pen.line((60, 40, 60, 420), fill="black", width=2)
    pen.line((60, 420, 600, 420), fill="black", width=2)
    for bar in range(8):
        pen.rectangle((80 + bar * 65, 420 - rng.randrange(20, 360), 120 + bar * 65, 419), fill="#466ec8")
        _write(pen, (85 + bar * 65, 430), f"Q{bar + 1}", 14)
    return picture


KINDS = {made.__name__: made for made in (screen, invoice, terminal, chart)}
COPIES = {
    "packed anew": lambda p: packed(p, compress_level=1),
    "JPEG 90": lambda p: packed(p, "JPEG", quality=90),
    "JPEG 75": lambda p: packed(p, "JPEG", quality=75),
    "palette": lambda p: packed(p.quantize(64), "GIF"),
    "larger": lambda p: packed(p.resize((p.width * 3 // 2, p.height * 3 // 2), Image.Resampling.BICUBIC)),
    "smaller": lambda p: packed(p.resize((p.width * 3 // 4, p.height * 3 // 4), Image.Resampling.BICUBIC)),
    "grey": lambda p: packed(p.convert("L")),
    "darker": lambda p: packed(p.point(lambda level: level * 0.8)),
}


def frames(seed: int, count: int, shared: int) -> list[Image.Image]:
    """Frames of a moving square, all of their own but the one of the place `shared`."""
    rng, made = random.Random(seed), []
    for place in range(count):
        picture = Image.new("RGB", (160, 120), "#f0f0f0")
        at = (20, 30) if place == shared else (rng.randrange(120), rng.randrange(80))
        ImageDraw.Draw(picture).rectangle((*at, at[0] + 30, at[1] + 30), fill="navy")
        made.append(picture)
    return made


def animation(pictures: list[Image.Image], kind: str, **options: Any) -> bytes:
    """The frames as one file."""
    return packed(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)
