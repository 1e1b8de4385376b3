"""Perceptual dedupe beside its peers: edits found, false marks, images/s, and cost by number of rows.

    python tests/benchmarks/dedupe/bench_perceptual.py [--cases speed,quality,unedited,rows] [--rows 10000 100000]

Prints one JSON object a case. Photographs are clothing_small, garments are fashion_mnist, both from ../shared/data. CPU seconds
of one thread, the best of several, unless it says otherwise; ratios are taken in one run. Needs imagehash with its
PyWavelets, and pdqhash.

`quality` splits the photographs by turns into two halves. A tool's threshold is chosen on one half, by F1, and its figures
are those of the other half; then the halves change places, and the two results are averaged. Edits of chosen photographs are
compared with all photographs of their half, which stay. Recall is the share of edits marked as a copy of their own original;
a false mark is an unedited photograph that has a partner in its half, and precision = recall / (recall + false share).
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from curate.dedupers import MarkOptions
from curate.dedupers.perceptual import PLUGIN
from curate.dedupers.thumbnail_join.waves import FLOOR, LUMA, RESOLUTION
from curate.embedders import EmbedderOptions
from curate.embedders.perceptual import PLUGIN as EMBEDDER
from curate.records import SILENT

CORPORA = Path(__file__).parents[4] / "shared" / "data"
Edit = Callable[[Image.Image, random.Random], bytes]


def packed(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as an encoded file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def crop(picture: Image.Image, shares: list[float]) -> Image.Image:
    """Cut these shares at the left, top, right and bottom."""
    w, h = picture.size
    left, top, right, bottom = shares
    return picture.crop((round(w * left), round(h * top), round(w * (1 - right)), round(h * (1 - bottom))))


def watermark(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Lay a white box of 30 % × 8 % somewhere, with words on it."""
    marked, (w, h) = picture.copy(), picture.size
    x, y = rng.randint(0, int(w * 0.7)), rng.randint(0, int(h * 0.92))
    pen = ImageDraw.Draw(marked)
    pen.rectangle((x, y, x + w * 0.3, y + h * 0.08), fill="white")
    pen.text((x + 4, y + 4), "(c) example", fill="black")
    return marked


def gamma(picture: Image.Image, power: float) -> Image.Image:
    """Raise every channel to a power."""
    return picture.point([round(255 * (i / 255) ** power) for i in range(256)] * 3)


EDITS: dict[str, Edit] = {
    "half size": lambda p, r: packed(p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS)),
    "96×96": lambda p, r: packed(p.resize((96, 96))),
    "double size": lambda p, r: packed(p.resize((p.width * 2, p.height * 2))),
    "JPEG 30": lambda p, r: packed(p, quality=30),
    "JPEG 10": lambda p, r: packed(p, quality=10),
    "PNG": lambda p, r: packed(p, "PNG", compress_level=1),
    "WebP 60": lambda p, r: packed(p, "WEBP", quality=60),
    "GIF 64": lambda p, r: packed(p.quantize(64), "GIF"),
    "crop 2 %": lambda p, r: packed(crop(p, [0.02] * 4)),
    "crop 5 %": lambda p, r: packed(crop(p, [0.05] * 4)),
    "crop 0-6 %": lambda p, r: packed(crop(p, [r.uniform(0, 0.06) for _ in range(4)])),
    "black border 4 %": lambda p, r: packed(ImageOps.expand(p, border=round(0.04 * min(p.size)), fill="black")),
    "white border 8 %": lambda p, r: packed(ImageOps.expand(p, border=round(0.08 * min(p.size)), fill="white")),
    "letterbox 10 %": lambda p, r: packed(ImageOps.expand(p, border=(0, p.height // 10), fill="black")),
    "brightness 1.3": lambda p, r: packed(ImageEnhance.Brightness(p).enhance(1.3)),
    "brightness 0.6": lambda p, r: packed(ImageEnhance.Brightness(p).enhance(0.6)),
    "contrast 1.4": lambda p, r: packed(ImageEnhance.Contrast(p).enhance(1.4)),
    "contrast 0.6": lambda p, r: packed(ImageEnhance.Contrast(p).enhance(0.6)),
    "gamma 0.6": lambda p, r: packed(gamma(p, 0.6)),
    "gamma 1.6": lambda p, r: packed(gamma(p, 1.6)),
    "grey": lambda p, r: packed(p.convert("L")),
    "watermark": lambda p, r: packed(watermark(p, r)),
}
TURNS: dict[str, Edit] = {
    "mirror": lambda p, r: packed(ImageOps.mirror(p)),
    "quarter turn": lambda p, r: packed(p.transpose(Image.Transpose.ROTATE_90)),
    "half turn": lambda p, r: packed(p.transpose(Image.Transpose.ROTATE_180)),
}


def files(archive: str, suffix: str, count: int | None = None) -> list[bytes]:
    """The archive's pictures, in its order."""
    with tarfile.open(CORPORA / archive) as tar:
        members = itertools.islice((m for m in tar if m.name.endswith(suffix)), count)
        return [held.read() for m in members if (held := tar.extractfile(m)) is not None]


def timed(work: Callable[[], Any], runs: int = 3) -> tuple[float, Any]:
    """CPU seconds, the best of several, and the result."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def mark(vectors: np.ndarray, *, settled: int = 0, **wanted: Any) -> Any:
    """Our marks of the rows in their order, one thread."""
    options = MarkOptions(threads=1)
    return PLUGIN(**wanted).mark(vectors, np.arange(len(vectors)), settled=settled, options=options, progress=SILENT)


# Peers: a method turns a picture into numbers, and two lie so far apart.


def opened(data: bytes) -> Image.Image:
    """A file as every peer opens it."""
    return Image.open(io.BytesIO(data))


def block_mean(data: bytes) -> np.ndarray:
    """256 bits: which cells of 16×16 are brighter than their middle (the block mean hash of Yang, Gu, Niu 2006)."""
    cells = np.asarray(opened(data).convert("L").resize((16, 16), Image.Resampling.BOX))
    return np.packbits(cells > np.median(cells))


def colour_layout(data: bytes) -> np.ndarray:
    """MPEG-7's colour layout before its quantiser: 6, 3 and 3 low cosine waves of an 8×8 thumbnail's Y, Cb and Cr."""
    cells = np.asarray(opened(data).convert("RGB").resize((8, 8), Image.Resampling.BOX).convert("YCbCr"), np.float32)
    basis = (
        np.cos(np.pi * np.arange(8)[:, None] * (np.arange(8) + 0.5) / 8) * np.where(np.arange(8), np.sqrt(2), 1)[:, None] / 8
    )
    waves = np.einsum("ia,abc,jb->ijc", basis, cells, basis)
    zigzag = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2)]
    weight = np.sqrt([2, 2, 2, 1, 1, 1])
    luma = [waves[place][0] for place in zigzag] * weight
    return np.concatenate([luma, *([waves[place][c] for place in zigzag[:3]] * weight[[0, 3, 4]] for c in (1, 2))])


def peers() -> dict[str, tuple[Callable[[bytes], np.ndarray], np.ndarray]]:
    """Methods by name, each with the thresholds that are tried."""
    import imagehash
    import pdqhash

    bits = np.arange(0, 33)
    return {
        "imagehash pHash": (lambda data: np.packbits(imagehash.phash(opened(data)).hash), bits),
        "imagehash dHash": (lambda data: np.packbits(imagehash.dhash(opened(data)).hash), bits),
        "PDQ": (lambda data: np.packbits(pdqhash.compute(np.asarray(opened(data).convert("RGB")))[0]), np.arange(0, 121, 2)),
        "block mean": (block_mean, np.arange(0, 97, 2)),
        "colour layout": (colour_layout, np.linspace(0, 60, 61)),
    }


def apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n, m) bits that differ, or the Euclidean distance of what is not bits."""
    if left.dtype == np.uint8:
        return np.bitwise_count(left[:, None] ^ right[None]).sum(-1, dtype=np.int32)
    return np.linalg.norm(left[:, None] - right[None], axis=-1)


class Curve:
    """What one tool finds in one half at each of its thresholds."""

    def __init__(self, thresholds: np.ndarray, found: dict[str, np.ndarray], false: np.ndarray) -> None:
        self.thresholds = thresholds
        self.found = found
        """By edit: (thresholds,) share of the edits that are found."""
        self.false = false
        """(thresholds,) share of the unedited that have a partner."""
        self.recall = np.mean(list(found.values()), axis=0)
        self.precision = self.recall / np.maximum(self.recall + false, 1e-9)
        self.f1 = 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-9)


def curve_of_peer(thresholds: np.ndarray, codes: np.ndarray, edits: dict[str, np.ndarray], chosen: np.ndarray) -> Curve:
    """A peer marks the nearest original that lies within the threshold."""
    between = apart(codes, codes).astype(float)
    np.fill_diagonal(between, np.inf)
    found = {}
    for name, edited in edits.items():
        far = apart(edited, codes)
        own = far[np.arange(len(chosen)), chosen]
        right = own <= far.min(axis=1)
        found[name] = (right[:, None] & (own[:, None] <= thresholds)).mean(axis=0)
    return Curve(thresholds, found, (between.min(axis=1)[:, None] <= thresholds).mean(axis=0))


def our_curve(vectors: np.ndarray, edits: dict[str, np.ndarray], chosen: np.ndarray) -> Curve:
    """Ours, over thresholds from 0.70 to 0.95."""
    thresholds = np.round(np.arange(0.70, 0.955, 0.01), 2)
    false = np.array([(mark(vectors, threshold=float(t)).stands_for >= 0).mean() for t in thresholds])
    found = {}
    for name, edited in edits.items():
        wanted = {"invariant": "flip,rotate"} if name in TURNS else {}
        marks = mark(np.concatenate([vectors, edited]), settled=len(vectors), threshold=float(thresholds[0]), **wanted)
        right = marks.stands_for[len(vectors) :] == chosen
        found[name] = (right[:, None] & (marks.similarity[len(vectors) :][:, None] >= thresholds)).mean(axis=0)
    return Curve(thresholds, found, false)


def held_out(halves: list[Curve], threshold: float | None = None) -> dict[str, Any]:
    """Figures of each half at the threshold chosen on the other, or at a given one, averaged; and by edit."""
    at = []
    for own, other in zip(halves, halves[::-1], strict=True):
        best = int(other.f1.argmax()) if threshold is None else int(np.abs(own.thresholds - threshold).argmin())
        at.append((own, best))
    figures = {name: float(np.mean([getattr(c, name)[i] for c, i in at])) for name in ("f1", "recall", "precision", "false")}
    by_edit = {name: round(float(np.mean([c.found[name][i] for c, i in at])), 3) for name in halves[0].found}
    return {"thresholds": [float(c.thresholds[i]) for c, i in at], **figures, "by_edit": by_edit}


def quality(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Edits found and false marks, by tool, on photographs that its threshold was not chosen on."""
    embed = EMBEDDER(EmbedderOptions(threads=1)).embed_images
    tools: dict[str, tuple[Any, Any]] = {"curate": (embed, None)}
    for name, (method, thresholds) in peers().items():
        tools[name] = (lambda files, method=method: np.stack([method(data) for data in files]), thresholds)
    curves: dict[str, list[Curve]] = {name: [] for name in tools}
    photographs = files("clothing_small.tar", ".jpg", asked.pool)
    for half in (0, 1):
        originals = photographs[half::2]
        chosen = np.arange(0, len(originals), max(2 * len(originals) // asked.originals, 1))
        edits = {}
        for name, edit in (EDITS | TURNS).items():
            rng = random.Random(f"{name} {half}")
            edits[name] = [edit(opened(originals[i]).convert("RGB"), rng) for i in chosen]
        for tool, (method, thresholds) in tools.items():
            told = {name: method(edited) for name, edited in edits.items() if tool == "curate" or name in EDITS}
            codes = method(originals)
            curves[tool].append(
                our_curve(codes, told, chosen) if tool == "curate" else curve_of_peer(thresholds, codes, told, chosen)
            )
    about = {"case": "quality", "photographs": len(photographs), "edited": 2 * len(chosen)}
    shipped = PLUGIN().threshold
    yield about | {"tool": f"curate at its default {shipped}"} | held_out(curves["curate"], shipped)
    for tool, halves in curves.items():
        yield about | {"tool": tool} | held_out(halves)


def icons(count: int) -> list[bytes]:
    """Flat icons, 96×96: two or three plain shapes in plain colours on a plain ground."""
    made = []
    for seed in range(count):
        rng = random.Random(seed)
        picture = Image.new("RGB", (96, 96), tuple(rng.randrange(256) for _ in range(3)))
        pen = ImageDraw.Draw(picture)
        for _ in range(rng.randint(2, 3)):
            (x, y), (w, h) = (rng.sample(range(8, 50), 2) for _ in range(2))
            box, fill = (x, y, x + w, y + h), tuple(rng.randrange(256) for _ in range(3))
            getattr(pen, rng.choice(["ellipse", "rectangle", "rounded_rectangle"]))(box, fill=fill)
        made.append(packed(picture, "PNG"))
    return made


def drawings(count: int) -> list[bytes]:
    """Line drawings, 160×120: some strokes and arcs in black on white."""
    made = []
    for seed in range(count):
        rng = random.Random(seed)
        picture = Image.new("L", (160, 120), 255)
        pen = ImageDraw.Draw(picture)
        for _ in range(rng.randint(2, 5)):
            pen.line(
                [(rng.randrange(160), rng.randrange(120)) for _ in range(rng.randint(2, 5))], fill=0, width=rng.randint(1, 3)
            )
        x, y = rng.randrange(100), rng.randrange(70)
        pen.arc(
            (x, y, x + rng.randint(20, 60), y + rng.randint(20, 50)), rng.randrange(360), rng.randrange(360), fill=0, width=2
        )
        made.append(packed(picture, "PNG"))
    return made


def unedited(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Marks among pictures that are no copies of each other."""
    sets = {
        "photographs": lambda: files("clothing_small.tar", ".jpg"),
        "garments 28×28": lambda: files("fashion_mnist.tar.gz", ".png", asked.garments),
        "flat icons": lambda: icons(2000),
        "line drawings": lambda: drawings(2000),
        "plain colours": lambda: [
            packed(Image.new("RGB", (64, 64), c), "PNG") for c in itertools.product(range(0, 256, 28), repeat=3)
        ],
    }
    for name, make in sets.items():
        vectors = EMBEDDER(EmbedderOptions(threads=1)).embed_images(make())
        seconds, marks = timed(lambda vectors=vectors: mark(vectors), runs=1)
        marked = int((marks.stands_for >= 0).sum())
        yield {
            "case": "unedited", "set": name, "images": len(vectors), "marked": marked, "precision": 1 - marked / len(vectors),
            "pairs_measured": marks.compared, "mark_cpu_s": seconds,
        }  # fmt: skip


def speed(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Images per CPU second of one thread."""
    import imagehash

    def bare_decode(pictures: list[bytes]) -> None:
        """Pillow's decode of the same files, reduced as far as it goes, and nothing after it."""
        for data in pictures:
            with opened(data) as picture:
                picture.draft("YCbCr", (48, 48))
                picture.load()

    photographs = files("clothing_small.tar", ".jpg", asked.photographs)
    large = [
        packed(opened(data).convert("RGB").resize((1024, 768)), quality=85) for data in photographs[: asked.photographs // 3]
    ]
    embedder = EMBEDDER(EmbedderOptions(threads=1))
    work: dict[str, Callable[[list[bytes]], Any]] = {
        "curate": embedder.embed_images,
        "bare_reduced_decode": bare_decode,
        "imagehash_phash": lambda pictures: [imagehash.phash(opened(data)) for data in pictures],
        "imagehash_dhash": lambda pictures: [imagehash.dhash(opened(data)) for data in pictures],
    }
    for size, pictures in (("about 400×533", photographs), ("1024×768", large)):
        rates = {name: len(pictures) / timed(lambda job=job, pictures=pictures: job(pictures))[0] for name, job in work.items()}
        yield {
            "case": "speed", "size": size, "images": len(pictures), **{f"{n}_per_cpu_s": round(r) for n, r in rates.items()},
            "times_phash": rates["curate"] / rates["imagehash_phash"],
            "times_dhash": rates["curate"] / rates["imagehash_dhash"],
            "share_of_bare_decode": rates["curate"] / rates["bare_reduced_decode"],
        }  # fmt: skip


def generated(count: int, path: Path) -> None:
    """Write vectors with the photographs' mean and covariance, a tenth of them noisy copies, a twentieth one equal group."""
    photographs = EMBEDDER(EmbedderOptions(threads=1)).embed_images(files("clothing_small.tar", ".jpg"))
    grey = photographs * (FLOOR / np.maximum(np.hypot(photographs[:, 0], photographs[:, LUMA]), 1e-6))[:, None]
    energy, axes = np.linalg.eigh(np.cov(grey.T.astype(np.float64)))
    spread = (axes * np.sqrt(np.maximum(energy, 0))).T.astype(np.float32)
    mean, angle = grey.mean(axis=0), np.arctan2(grey[:, LUMA], grey[:, 0])
    rng, copies, group = np.random.default_rng(0), count // 10, count // 20
    out = np.lib.format.open_memmap(path, "w+", np.float32, (count, grey.shape[1]))
    for start in range(0, count, 8192):
        size = min(8192, count - start)
        block = rng.standard_normal((size, len(energy)), np.float32) @ spread + mean
        turn = rng.choice(angle, size)
        block[:, 0], block[:, LUMA], block[:, RESOLUTION] = FLOOR * np.cos(turn), FLOOR * np.sin(turn), FLOOR
        out[start : start + size] = block
    for start in range(count - copies, count, 8192):
        size = min(8192, count - start)
        noise = rng.standard_normal((size, LUMA), np.float32) * 4
        noise[:, 0] = 0
        block = out[rng.integers(0, count - copies, size)]
        block[:, :LUMA] += noise
        out[start : start + size] = block
    out[np.sort(rng.choice(np.arange(1, count - copies), group, replace=False))] = out[0]
    for start in range(0, count, 8192):
        out[start : start + 8192] /= np.linalg.norm(out[start : start + 8192], axis=1, keepdims=True)
    out.flush()


def measure_rows(path: str, memory_bytes: int, folder: str) -> None:
    """In a process of its own: mark the vectors of a file and print what it took."""
    vectors = np.load(path, mmap_mode="r")
    few = np.ascontiguousarray(vectors[:300])
    mark(few)  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = MarkOptions(threads=1, memory_bytes=memory_bytes, folder=Path(folder))
    order = np.arange(len(vectors))
    seconds, marks = timed(lambda: PLUGIN().mark(vectors, order, options=options, progress=SILENT), runs=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
        "case": "rows", "rows": len(vectors), "vectors_mb": round(vectors.nbytes / 1e6), "memory_mb": round(memory_bytes / 1e6),
        "cpu_s": seconds, "us_a_row": 1e6 * seconds / len(vectors), "marked": int((marks.stands_for >= 0).sum()),
        "largest_group": int(np.bincount(marks.stands_for[marks.stands_for >= 0]).max()) + 1, "pairs_measured": marks.compared,
        "rss_mb_before": round(before / 1024), "rss_mb_peak": round(peak / 1024), "notes": marks.notes[1:],
    }  # fmt: skip
    print(json.dumps(told))


def rows(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Cost and peak memory by number of rows, a twentieth of them one group of equal rows."""
    with tempfile.TemporaryDirectory() as folder:
        for count in asked.rows:
            path = Path(folder) / "vectors.npy"
            generated(count, path)
            command = [sys.executable, __file__, "--measure-rows", str(path), str(asked.memory * 10**6), folder]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            yield json.loads(done.stdout)
            path.unlink()


CASES: dict[str, Callable[[argparse.Namespace], Iterator[dict[str, Any]]]] = {
    "speed": speed,
    "quality": quality,
    "unedited": unedited,
    "rows": rows,
}


def main() -> None:
    """Run the cases asked for and print a line each."""
    if sys.argv[1:2] == ["--measure-rows"]:
        measure_rows(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="joined by commas")
    parser.add_argument("--originals", type=int, default=140, help="how many photographs are edited")
    parser.add_argument("--pool", type=int, default=1713, help="how many photographs they stand among")
    parser.add_argument("--photographs", type=int, default=300, help="how many are timed")
    parser.add_argument("--garments", type=int, default=20000)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--memory", type=int, default=1000, help="MB that marking may hold")
    asked = parser.parse_args()
    print(json.dumps({"case": "machine", "cpu": platform.processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}))
    for name in asked.cases.split(","):
        for told in CASES[name](asked):
            print(json.dumps(told, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
