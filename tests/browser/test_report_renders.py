"""The report in a real browser: it renders in both schemes, wide and narrow, and the console stays empty."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import report_house
from PIL import Image

from curate.steps.report import report
from curate.workspace import open_workspace

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium on the PATH")
SCHEMES = {"dark": 0, "light": 1}  # Blink's own numbers


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    with open_workspace(report_house.build(folder), read_only=True) as workspace:
        report(workspace, out=folder / "report.html")
    return folder / "report.html"


def browse(page: Path, folder: Path, *arguments: str) -> tuple[str, str]:
    """Open the page; returns what was printed, and what was said to the console."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'profile'}", "--hide-scrollbars", "--enable-logging=stderr", "--v=0", *arguments,
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 400)])
def test_it_renders_and_the_console_stays_empty(page: Path, tmp_path: Path, scheme: str, width: int) -> None:
    shot = tmp_path / "shot.png"
    _, console = browse(
        page,
        tmp_path,
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--window-size={width},2600",
        f"--screenshot={shot}",
    )
    assert console == ""
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB"), np.float64)
    assert pixels.shape[1] == width
    for band in np.array_split(pixels[:2400], 8):  # no stretch of the page is blank
        assert len(np.unique(band.reshape(-1, 3), axis=0)) > 8
    ground = np.median(pixels.mean(axis=2))
    assert ground > 200 if scheme == "light" else ground < 60


def test_the_script_runs_and_hostile_words_do_not(page: Path, tmp_path: Path) -> None:
    dom, console = browse(page, tmp_path, "--dump-dom")
    assert console == ""
    assert dom.count('<div class="tip"') == 2, "the page's own script names the points of both maps"
    assert 'onerror="' not in dom and dom.count("<script") == 3
