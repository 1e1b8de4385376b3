"""Perceptual dedupe beside imagehash and FAISS: recall by edit, false marks on unedited sets, images/s, and the Hamming join.

    python tests/benchmarks/dedupe/bench_perceptual.py [--originals 200] [--garments 20000] [--codes 50000] [--json]

Photographs are clothing_small, garments are fashion_mnist, both from ../shared/data. Each edit of the chosen originals is
compared with all 1,713 photographs, which are settled; an edit is found where its mark is its own original. The peers mark the
nearest photograph within the Hamming distance that has their best F1, false marks being those among the unedited
photographs. Needs imagehash (and its PyWavelets); CPU seconds, one thread, unless it says otherwise.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import imagehash
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from curate.dedupers import MarkOptions
from curate.dedupers._perceptual_codes import JOINS, candidates, index, masks, reach
from curate.dedupers.perceptual import PLUGIN
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


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, the better of two, and the result."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def hashes(pictures: list[bytes], method: Callable[[Image.Image], Any]) -> np.ndarray:
    """(n, 8) uint8 codes of a peer."""
    return np.stack([np.packbits(method(Image.open(io.BytesIO(data))).hash.ravel()) for data in pictures])


def hamming(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """All distances, (n, m)."""
    return np.bitwise_count(left.view(np.uint64) ^ right.view(np.uint64).T)


def bare_decode(pictures: list[bytes]) -> None:
    """What the embedder cannot do without: the same reduced decode, and nothing after it."""
    for data in pictures:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("YCbCr", (48, 48))
            picture.load()


def quality(originals: list[bytes], chosen: list[int]) -> dict[str, Any]:
    """Recall by edit for us and for the peers at their best F1, and false marks among the originals."""
    embedder = EMBEDDER(EmbedderOptions(threads=2))
    vectors, options = embedder.embed_images(originals), MarkOptions(threads=2)
    plain = PLUGIN().mark(vectors, np.arange(len(vectors)), options=options, progress=SILENT)
    peers = {"pHash": imagehash.phash, "dHash": imagehash.dhash}
    ours: dict[str, float] = {}
    peer_codes = {name: hashes(originals, method) for name, method in peers.items()}
    distances: dict[str, dict[str, np.ndarray]] = {name: {} for name in peers}
    wrong = 0
    for name, edit in (EDITS | TURNS).items():
        rng = random.Random(name)
        edited = [edit(Image.open(io.BytesIO(originals[i])).convert("RGB"), rng) for i in chosen]
        deduper = PLUGIN(invariant="flip,rotate" if name in TURNS else "")
        both, order = np.concatenate([vectors, embedder.embed_images(edited)]), np.arange(len(vectors) + len(edited))
        marks = deduper.mark(both, order, settled=len(vectors), options=options, progress=SILENT)
        found = marks.stands_for[len(vectors) :]
        twin = plain.stands_for[found] == chosen  # a copy of one of two equal photographs may name either
        ours[name] = float(((found == chosen) | twin | (plain.stands_for[chosen] == found) & (found >= 0)).mean())
        wrong += int(((found >= 0) & (found != chosen)).sum())
        if name in EDITS:
            for peer, method in peers.items():
                distances[peer][name] = hamming(hashes(edited, method), peer_codes[peer][chosen]).diagonal()
    report: dict[str, Any] = {"curate": {"recall": ours, "marked_unedited": int((plain.stands_for >= 0).sum()), "wrong": wrong}}
    for peer, codes in peer_codes.items():
        between = hamming(codes, codes).astype(np.int64)
        np.fill_diagonal(between, 99)
        nearest = between.min(axis=1)
        flat = np.concatenate(list(distances[peer].values()))
        scores = []
        for radius in range(25):
            # Copies of all photographs stand against the photographs marked though nothing was copied.
            recall, false = (flat <= radius).mean(), (nearest <= radius).mean()
            precision = recall / max(recall + false, 1e-9)
            scores.append((2 * precision * recall / max(precision + recall, 1e-9), radius, recall, false))
        f1, radius, recall, false = max(scores)
        by_edit = {name: float((d <= radius).mean()) for name, d in distances[peer].items()}
        report[peer] = {"recall": by_edit, "radius": radius, "f1": f1, "marked_unedited": round(float(false) * len(codes))}
    recall = float(np.mean([ours[name] for name in EDITS]))
    precision = recall / (recall + (plain.stands_for >= 0).mean())
    report["curate"] |= {"f1": float(2 * precision * recall / (precision + recall)), "mean_recall": recall}
    return report


def speed(pictures: list[bytes]) -> dict[str, float]:
    """Images per CPU second."""
    embedder = EMBEDDER(EmbedderOptions(threads=1))
    work: dict[str, Callable[[], Any]] = {
        "curate": lambda: embedder.embed_images(pictures),
        "bare reduced decode": lambda: bare_decode(pictures),
        "imagehash pHash": lambda: hashes(pictures, imagehash.phash),
        "imagehash dHash": lambda: hashes(pictures, imagehash.dhash),
    }
    return {name: len(pictures) / timed(job)[0] for name, job in work.items()}


def join(count: int) -> dict[str, float]:
    """CPU seconds to find all pairs of random 64-bit codes within distance 11, a third of them turned copies, one thread."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**64, count, np.uint64)
    codes[: count // 3] = codes[-(count // 3) :]
    for bit in rng.integers(0, 64, (5, count // 3)).astype(np.uint64):
        codes[: count // 3] ^= np.uint64(1) << bit
    own, joins = np.ascontiguousarray(codes[:, None]), np.array([(0, 0, 2)])
    assert JOINS[0] == (0, 0, 2)

    def ours() -> int:
        built = index(own, np.arange(count))
        seen, found = np.full(count, -1, np.int32), np.empty(count, np.int32)
        hits = (candidates(own[i], own, joins, masks(), built.starts, built.rows, seen, i, found) for i in range(count))
        return sum(hits)

    def theirs() -> int:
        faiss.omp_set_num_threads(1)
        flat = faiss.IndexBinaryFlat(64)
        flat.add(codes.view(np.uint8).reshape(-1, 8))
        return int(flat.range_search(codes.view(np.uint8).reshape(-1, 8), reach(2) + 1)[0][-1])

    ours()
    (own_s, own_pairs), (faiss_s, faiss_pairs) = timed(ours), timed(theirs)
    assert own_pairs == faiss_pairs, (own_pairs, faiss_pairs)
    return {"codes": count, "curate_s": own_s, "faiss_s": faiss_s, "times": faiss_s / own_s}


def garments(count: int) -> dict[str, float]:
    """Marks among 28×28 garments, and the CPU seconds of comparing them."""
    vectors = EMBEDDER(EmbedderOptions(threads=2)).embed_images(files("fashion_mnist.tar.gz", ".png", count))
    order, options = np.arange(len(vectors)), MarkOptions(threads=1)
    start = time.process_time()
    marks = PLUGIN().mark(vectors, order, options=options, progress=SILENT)
    spent = time.process_time() - start
    return {"images": len(vectors), "marked": int((marks.stands_for >= 0).sum()), "measured": marks.compared, "cpu_s": spent}


def main() -> None:
    """Run all and print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--originals", type=int, default=200, help="how many photographs are edited")
    parser.add_argument("--garments", type=int, default=20000)
    parser.add_argument("--codes", type=int, default=50000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    photographs = files("clothing_small.tar", ".jpg")
    chosen = list(range(0, len(photographs), max(len(photographs) // asked.originals, 1)))
    large = [packed(Image.open(io.BytesIO(data)).convert("RGB").resize((1024, 768)), quality=85) for data in photographs[:60]]
    report = {
        "quality": quality(photographs, chosen),
        "images_per_cpu_s": {"as they are": speed(photographs[:200]), "1024×768": speed(large)},
        "join": join(asked.codes),
        "garments": garments(asked.garments),
    }
    if asked.json:
        print(json.dumps(report))
        return
    found = report["quality"]
    print(f"{'recall':18}" + "".join(f"{tool:>10}" for tool in found))
    for name in EDITS | TURNS:
        print(f"{name:18}" + "".join(f"{tool['recall'].get(name, float('nan')):10.3f}" for tool in found.values()))
    for figure in ("f1", "marked_unedited"):
        print(f"{figure:18}" + "".join(f"{tool[figure]:10.3f}" for tool in found.values()))
    print(f"mean recall {found['curate']['mean_recall']:.4f}, marks that name another photograph {found['curate']['wrong']}")
    for sizes, rates in report["images_per_cpu_s"].items():
        print(sizes, {name: round(rate) for name, rate in rates.items()})
    print("join", report["join"])
    print("garments", report["garments"])


if __name__ == "__main__":
    main()
