"""Writes a finished model folder, and recognises one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import SettingError
from curate.generators.contract.folder import read_report
from curate.generators.contract.reports import FitReport
from curate.generators.training.artifacts import write_bytes, write_json, write_tensors
from curate.generators.training.loop import finish
from curate.generators.training.repeatable import main_process_writes
from curate.generators.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch


def write_model(
    folder: Path,
    *,
    plugin: str,
    settings: TrainSettings,
    config: Mapping[str, Any],
    report: FitReport,
    fingerprint: str,
    examples: int,
    tensors: Mapping[str, torch.Tensor] | None = None,
    outer: Mapping[str, Any] | None = None,
) -> None:
    """Write weights, report and card, then the configuration that declares them complete, then delete the checkpoint.

    Under several processes the main one writes, and the others wait for it.

    Args:
        config: what the plug-in needs to load the model, beside plug-in name and settings.
        tensors: the weights; None where the plug-in has written them.
        outer: keys of config.json that other libraries read, beside "curate".
    """
    with main_process_writes() as main:
        if main:
            _write(folder, plugin, settings, config, report, fingerprint, examples, tensors, outer)


def _write(
    folder: Path,
    plugin: str,
    settings: TrainSettings,
    config: Mapping[str, Any],
    report: FitReport,
    fingerprint: str,
    examples: int,
    tensors: Mapping[str, torch.Tensor] | None,
    outer: Mapping[str, Any] | None,
) -> None:
    inner = {"plugin": plugin, "settings": settings.stored(), **config}
    if tensors is not None:
        inner["tensors_sha256"] = write_tensors(folder / "model.safetensors", tensors)
    write_json(folder / "training.json", {"fingerprint": fingerprint, **dataclasses.asdict(report)})
    write_bytes(folder / "README.md", card(folder.name, plugin, settings, config, report, examples).encode())
    write_json(folder / "config.json", {**(outer or {}), "curate": inner})
    finish(folder)


def already_done(folder: Path, fingerprint: str) -> FitReport | None:
    """The report of the finished training in a folder, or None where none is finished.

    Raises:
        SettingError: it is a training of something else.
        WorkError: its report cannot be read.
    """
    if not (folder / "config.json").is_file():
        return None
    report, known = read_report(folder)
    if known != fingerprint:
        raise SettingError(
            f"{folder} holds a model of other settings or other examples",
            hint="train under another name, or delete that folder",
        )
    finish(folder)
    return report


def card(name: str, plugin: str, settings: TrainSettings, config: Mapping[str, Any], report: FitReport, examples: int) -> str:
    """The model card: what it is, what it learned from, what was measured, and what must not be assumed."""
    labels = list(config.get("labels", ()))
    shown = ", ".join(f"`{label}`" for label in labels[:50]) + (f" and {len(labels) - 50} more" if len(labels) > 50 else "")
    loss = (
        "not measured"
        if report.best_validation_loss is None
        else f"{report.best_validation_loss:.4f} at step {report.best_step}"
    )
    rows = [
        ("family", f"`{plugin}`"),
        ("training examples", f"{examples:,}"),
        ("parameters trained", f"{report.parameters:,}"),
        ("steps", f"{report.steps:,} ({report.stop_reason})"),
        ("time", f"{report.seconds:.0f} s, {report.units_per_second:,.0f} {report.unit}/s"),
        ("lowest validation loss", loss),
        *((key.replace("_", " "), f"{value:.4f}") for key, value in report.metrics.items()),
    ]
    lines = ["---", "library_name: curate", "tags:", "- synthetic", f"- {plugin}", "---", "", f"# {name}", ""]
    lines += ["A generator of labelled synthetic samples, trained by curate.", "", "| | |", "| --- | --- |"]
    lines += [f"| {key} | {value} |" for key, value in rows]
    lines += ["", f"Labels: {shown}." if labels else "It draws without labels.", ""]
    lines += [f"- {note}" for note in report.notes] + ([""] if report.notes else [])
    lines += ["What it draws resembles its training examples and may repeat some of them. No test for copies shows that it"]
    lines += ["does not reveal what it learned from. Do not use its samples for validation or test.", "", "## Settings", ""]
    lines += ["```json", json.dumps(settings.stored(), indent=1, ensure_ascii=False), "```", ""]
    return "\n".join(lines)
