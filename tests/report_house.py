"""A small workspace that has everything a report shows, with hostile words wherever words can stand."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from curate.catalog import vectors
from curate.catalog.vectors import EmbedderRow
from curate.steps.dedupe import dedupe
from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.workspace import BlobStore, Workspace, create_workspace, open_workspace

HOSTILE = "</script><script>window.hostile=1</script><img src=x onerror='window.hostile=1'>"
LABELS = [HOSTILE, "plain", "ünï & <b>"]


def build(folder: Path) -> Path:
    """Make the workspace below a folder; returns its root."""
    root = create_workspace(folder / "house")
    with open_workspace(root) as workspace:
        _texts(workspace, folder)
        _images(workspace, folder)
        for name in ("tales", "photos"):
            split(workspace, name, stratify="label", seed=3)
        _vectors(workspace)
        _model(workspace, "tales", "poet")
        _model(workspace, "photos", "painter")
    return root


def _texts(workspace: Workspace, folder: Path) -> None:
    rows = [{"text": f"tale {n} of a long road {HOSTILE if n % 5 == 0 else ''}", "label": LABELS[n % 3]} for n in range(60)]
    rows += [{**rows[n], "text": rows[n]["text"].upper() if n % 2 else rows[n]["text"]} for n in range(8)]
    rows += [{"text": "the same words of a long road that goes on and on and on to the sea", "label": "plain"}] * 4
    lines = [json.dumps(row) for row in rows] + ['{"text": "' + HOSTILE, "[1,"]
    (folder / "tales.jsonl").write_text("\n".join(lines))
    ingest(workspace, [folder / "tales.jsonl"], dataset="tales", text=["text"], label="label", licence=HOSTILE, source=HOSTILE)
    dedupe(workspace, "tales", methods=["exact"])


def picture(n: int, side: int = 8) -> bytes:
    """A PNG of noise."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(n).integers(0, 255, (side, side, 3)).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _images(workspace: Workspace, folder: Path) -> None:
    for n in range(24):
        path = folder / "photos" / f"kind {n % 2}" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(n // 2 if n < 4 else n, 300 if n > 20 else 8))
    (folder / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    ingest(workspace, [folder / "photos"], dataset="photos", label_from="folder")
    dedupe(workspace, "photos", methods=["exact"])


def _vectors(workspace: Workspace) -> None:
    catalog = workspace.catalog
    vectors.register(catalog, EmbedderRow("made_up", "made-up", "f" * 64, 6, HOSTILE, None))
    ids = np.array([row[0] for row in catalog.rows("SELECT sample_id FROM real_samples ORDER BY 1")], np.int64)
    vectors.add(catalog, "made_up", ids, _unit(ids))


def _unit(ids: np.ndarray) -> np.ndarray:
    rows = np.stack([np.random.default_rng(int(i)).normal(size=6) for i in ids]).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _model(workspace: Workspace, dataset: str, name: str) -> None:
    """A finished model with losses and metrics, and draws of every fate."""
    catalog = workspace.catalog
    dataset_id, split_id = catalog.row(
        "SELECT d.dataset_id, split_id FROM splits JOIN datasets d USING (dataset_id) WHERE d.name = ?", [dataset]
    )  # fmt: skip
    model_id = catalog.scalar(
        """INSERT INTO models (name, family, dataset_id, settings, folder, checkpoint_hash, depth, run_id)
           VALUES (?, 'markov', ?, '{}', ?, 'c0ffee', 0, 1) RETURNING model_id""",
        [name, dataset_id, name],
    )
    catalog.execute("INSERT INTO model_sources VALUES (?, ?, ?, 'train')", [model_id, dataset_id, split_id])
    for step in range(1, 61):
        catalog.execute("INSERT INTO losses VALUES (1, ?, ?, 'train', ?)", [model_id, step, 40.0 / step])
    catalog.execute("INSERT INTO losses VALUES (1, ?, 60, 'validation', 1.25), (1, ?, 30, 'validation', 2.5)", [model_id] * 2)
    for label in (None, LABELS[0]):
        catalog.execute(
            """INSERT INTO metrics (run_id, model_id, name, label, value, spread, reference, sizes, definition, source)
               VALUES (7, ?, 'coverage/made_up', ?, 0.8125, 0.03125, 0.96875, '{"test": 1234}', ?, ?)""",
            [model_id, label, f"share of real ones reached {HOSTILE}", f"Naeem 2020 {HOSTILE}"],
        )
    near = [r[0] for r in catalog.rows("SELECT sample_id FROM real_samples WHERE dataset_id = ? LIMIT 12", [dataset_id])]
    for n in range(12):
        _draw(workspace, dataset, dataset_id, model_id, n, near[n] if n < len(near) else None)


def _draw(workspace: Workspace, dataset: str, dataset_id: int, model_id: int, n: int, nearest: int | None) -> None:
    text, blob = (f"drawn {n} {HOSTILE}", None) if dataset == "tales" else (None, None)
    media = picture(1000 + n)
    content = hashlib.sha256(text.encode() if text else media).hexdigest()
    if text is None:
        blob = BlobStore.name(content, ".png")
        workspace.synthetic.write([(blob, media)])
    refusal = None if n < 9 else ("copy-of-train", HOSTILE, "duplicate")[n % 3]
    sample_id = workspace.catalog.scalar(
        """INSERT INTO synthetic_samples (dataset_id, model_id, run_id, seed, draw_index, requested_label, settings, depth,
               parents, modality, content_hash, label, text, blob, size_bytes, status, refusal, nearest_id, nearest_real)
           VALUES ($dataset, $model, 1, $n, $n, $label, '{"base_seed": 11}', 1, '[]', $modality, $hash, $label, $text, $blob, 9,
                   $status, $refusal, $nearest, $cosine) RETURNING sample_id""",
        {
            "dataset": dataset_id, "model": model_id, "n": n, "label": LABELS[n % 3], "hash": content, "text": text,
            "blob": blob, "modality": "text" if text else "image",
            "status": "refused" if refusal else "accepted", "refusal": refusal,
            "nearest": nearest, "cosine": None if nearest is None else 0.5 + n / 100,
        },
    )  # fmt: skip
    if refusal is None:
        vectors.add(workspace.catalog, "made_up", np.array([sample_id]), _unit(np.array([sample_id])))
