"""The model folder, as those who only read it know it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import InputError, WorkError
from curate.generators.contract.reports import CurveRow, FitReport
from curate.plugins import load

if TYPE_CHECKING:
    from curate.generators import Model


def read_config(folder: Path) -> dict[str, Any]:
    """Read the "curate" part of a model folder's configuration: plugin, settings, labels and what the plug-in adds.

    Raises:
        InputError: there is none, so the folder is not a finished model.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["curate"]
    except FileNotFoundError:
        raise InputError(f"{folder} is not a finished model: it has no config.json", hint="run the training again") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the configuration of a curate model ({error})") from None
    return dict(config)


def load_model(folder: Path, *, device: str = "auto") -> Model:
    """Open a finished model folder with the plug-in that made it.

    Raises:
        InputError: the folder is not a finished model.
        SettingError: its plug-in is not installed, or the device is not there.
    """
    model: Model = load("generators", read_config(folder)["plugin"]).load(folder, device=device)
    return model


def read_report(folder: Path) -> tuple[FitReport, str]:
    """The report of a finished training, and the fingerprint of its settings and examples.

    Raises:
        WorkError: it cannot be read.
    """
    path = folder / "training.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = found.pop("fingerprint")
        rows = tuple(CurveRow(**row) for row in found.pop("curve"))
        rest: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
        return FitReport(curve=rows, **rest), known
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WorkError(f"{path} is damaged ({error})", hint=f"delete {folder} and train again") from None


def weights_file(folder: Path) -> Path:
    """The file that holds what was trained; its hash identifies the model.

    Raises:
        InputError: there is none.
    """
    for name in ("model.safetensors", "adapter_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} holds no weights", hint="run the training again")
