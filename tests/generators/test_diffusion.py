"""Images: what is learned, drawn and read back."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from curate.errors import BadRecord, InputError, SettingError, WorkError
from curate.generators import DrawRequest, Examples, configure, load_model
from curate.generators.diffusion import Diffusion, DiffusionSettings
from curate.generators.images.pixels import Frame, choose_frame, encode_png, pad_to_multiple, stack
from curate.generators.images.probability_paths import SAMPLERS

from .conftest import ONE_THREAD

TINY = DiffusionSettings(
    network="mlp", widths=(64,), layers=2, steps=60, batch_size=64, learning_rate=5e-3, sample_steps=3, draw_batch=8
)
UNET = DiffusionSettings(widths=(8, 16), unshuffle=2, steps=4, batch_size=16, sample_steps=2, draw_batch=8)


def pixels_of(drawn):
    image = Image.open(io.BytesIO(drawn.media))
    image.load()
    return np.asarray(image)


def by_index(model, requests, settings):
    return {drawn.index: drawn.media for drawn in model.draw(requests, settings)}


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "digits"
    report = Diffusion(TINY).fit(*digits, folder, options=ONE_THREAD)
    return folder, report


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """A UNet on 9×7 colour images, which divide by nothing."""
    folder = tmp_path_factory.mktemp("models") / "odd"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9, 7, 3), dtype=np.uint8)
    examples = Examples(["x", None] * 10, pixels=pixels)
    Diffusion(UNET).fit(examples, examples.take([]), folder, options=ONE_THREAD)
    return load_model(folder, device="cpu")


def test_the_loss_goes_down_and_is_reported(trained):
    _, report = trained
    assert report.curve[-1].loss < 0.7 * report.curve[0].loss
    assert report.best_validation_loss is not None and report.best_validation_loss < report.curve[0].loss
    assert (report.steps, report.unit) == (60, "images") and report.units_per_second > 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("which", ["mlp", "unet"])
def test_a_draw_does_not_depend_on_what_else_is_drawn(trained, unet, which, threads):
    model = load_model(trained[0], device="cpu") if which == "mlp" else unet
    settings = model.draw_settings(threads=threads)
    requests = [DrawRequest(model.labels[i % len(model.labels)] if i % 5 else None, 1000 + i) for i in range(21)]
    alone = by_index(model, requests, settings)
    random = np.random.default_rng(threads)
    for size in (1, 13, 21):
        chosen = random.permutation(21)[:size]
        for index, media in by_index(model, [requests[i] for i in chosen], settings).items():
            assert media == alone[chosen[index]]
    assert len(set(alone.values())) == 21


def test_a_model_read_twice_draws_the_same_bytes(trained):
    requests = [DrawRequest("3", seed) for seed in (0, 1, 2**62)]
    first = load_model(trained[0], device="cpu")
    settings = json.loads(json.dumps(first.draw_settings()))
    assert by_index(first, requests, settings) == by_index(load_model(trained[0], device="cpu"), requests, settings)


def test_seeds_that_differ_only_in_their_upper_half_differ(trained):
    model = load_model(trained[0], device="cpu")
    media = by_index(model, [DrawRequest("3", 5), DrawRequest("3", 5 + 2**40)], model.draw_settings())
    assert media[0] != media[1]


@pytest.mark.parametrize("objective", ["flow", "noise", "velocity"])
def test_every_sampler_draws_images_under_every_objective(digits, tmp_path, objective):
    for schedule in ("linear", "cosine"):
        settings = dataclasses.replace(TINY, objective=objective, noise_schedule=schedule, steps=5, widths=(16,))
        Diffusion(settings).fit(*digits, tmp_path / schedule, options=ONE_THREAD)
        model = load_model(tmp_path / schedule, device="cpu")
        for sampler in SAMPLERS:
            for guidance in (0, 1, 2.5):
                chosen = model.draw_settings(sampler=sampler, steps=2, guidance=guidance)
                for drawn in model.draw([DrawRequest("1", 0), DrawRequest(None, 1)], chosen):
                    assert pixels_of(drawn).shape == (8, 8)
        assert np.isfinite(model.score(digits[1])).all()


def test_images_of_odd_sides_come_back_at_their_size(unet):
    for drawn in unet.draw([DrawRequest("x", 0), DrawRequest(None, 1)], unet.draw_settings()):
        assert pixels_of(drawn).shape == (9, 7, 3)


def test_the_label_decides_what_is_drawn(tmp_path):
    pixels = np.zeros((40, 8, 8, 1), dtype=np.uint8)
    pixels[::2] = 255
    examples = Examples(["white", "black"] * 20, pixels=pixels)
    settings = dataclasses.replace(TINY, steps=120, sample_steps=8)
    Diffusion(settings).fit(examples, examples.take([]), tmp_path / "m", options=ONE_THREAD)
    model = load_model(tmp_path / "m", device="cpu")
    for drawn in model.draw([DrawRequest(label, i) for i, label in enumerate(["white", "black"] * 4)], model.draw_settings()):
        assert (pixels_of(drawn).mean() > 128) == (drawn.request.label == "white")


def test_a_finished_folder_is_not_trained_again_and_another_training_is_refused(trained, digits):
    folder, report = trained
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert Diffusion(TINY).fit(*digits, folder, options=ONE_THREAD) == report
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(SettingError, match="other settings"):
        Diffusion(dataclasses.replace(TINY, seed=1)).fit(*digits, folder, options=ONE_THREAD)
    with pytest.raises(SettingError, match="other settings"):
        Diffusion(TINY).fit(digits[0].take(range(299)), digits[1], folder, options=ONE_THREAD)


def test_the_folder_holds_a_model_and_no_class_paths(trained):
    folder, _ = trained
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "config.json", "training.json", "README.md"}
    config = json.loads((folder / "config.json").read_text())["curate"]
    assert config["plugin"] == "diffusion" and config["labels"] == [str(d) for d in range(10)]
    assert DiffusionSettings(**config["settings"]) == TINY
    assert "curate." not in (folder / "config.json").read_text()
    assert "- synthetic" in (folder / "README.md").read_text()


def test_damaged_weights_are_not_loaded(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(WorkError, match="damaged"):
        load_model(tmp_path / "m", device="cpu")


def test_what_a_model_cannot_draw_is_refused(trained, tmp_path):
    model = load_model(trained[0], device="cpu")
    with pytest.raises(SettingError, match="'eleven'"):
        list(model.draw([DrawRequest("eleven", 0)], model.draw_settings()))
    with pytest.raises(SettingError, match="seed"):
        list(model.draw([DrawRequest("1", -1)], model.draw_settings()))
    for bad in ({"sampler": "magic"}, {"steps": 0}, {"guidance": -1}, {"batch": 12}, {"colour": 1}):
        with pytest.raises(SettingError):
            model.draw_settings(**bad)
    with pytest.raises(SettingError, match="lack"):
        list(model.draw([DrawRequest("1", 0)], {"sampler": "heun"}))
    with pytest.raises(InputError, match="not a finished model"):
        load_model(tmp_path)


def test_settings_out_of_range_are_refused():
    for bad in ({"steps": 0}, {"steps": 2.5}, {"objective": "magic"}, {"widths": []}, {"label_dropout": 1.0}, {"seed": "0"}):
        with pytest.raises(SettingError):
            configure(Diffusion.presets["tiny"], bad)
    with pytest.raises(SettingError) as caught:
        configure(Diffusion.presets["tiny"], {"stpes": 3})
    assert "steps" in (caught.value.hint or "")
    assert configure(Diffusion.presets["tiny"], {"steps": 3, "widths": [16]}).widths == (16,)


def encoded(images):
    def give(row):
        out = io.BytesIO()
        images[row].save(out, format="PNG")
        return out.getvalue()

    return Examples([None] * len(images), media=give)


def test_images_are_brought_to_the_commonest_size_with_their_proportions():
    examples = encoded([Image.new("L", (12, 6), 90), Image.new("L", (12, 6), 90), Image.new("L", (6, 12), 200)])
    frame = choose_frame(examples, max_side=6)
    assert frame == Frame(3, 6, 1)
    pixels, scaled = stack(examples, frame)
    assert scaled == 3 and (pixels[0] == 90).all() and (pixels[2] == 200).all()
    assert choose_frame(encoded([Image.new("RGB", (4, 4)), Image.new("L", (4, 4))]), max_side=9).channels == 3


def test_transparency_lies_on_white_and_broken_images_say_which():
    clear = encoded([Image.new("RGBA", (4, 4), (0, 0, 0, 0))])
    assert (stack(clear, Frame(4, 4, 3))[0] == 255).all()
    broken = Examples(["a"], media=lambda row: b"\x89PNG\r\n\x1a\n nothing", ids=[77])
    with pytest.raises(BadRecord) as caught:
        stack(broken, Frame(4, 4, 1))
    assert "sample 77" in caught.value.detail


def test_png_files_and_padding_keep_every_pixel():
    pixels = np.random.default_rng(3).integers(0, 256, (2, 5, 3, 3), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(encode_png(pixels[0])))) == pixels[0]).all()
    padded = pad_to_multiple(pixels, 4)
    assert padded.shape == (2, 8, 4, 3) and (padded[:, :5, :3] == pixels).all() and (padded[:, 5:, :3] == pixels[:, 4:5]).all()


def test_an_estimate_leaves_nothing_behind(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Diffusion(TINY).estimate(digits[0], options=ONE_THREAD)
    assert found.seconds > 0 and not list(tmp_path.iterdir())
