"""Images: what is learned, drawn and read back."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from curate.errors import BadRecord, InputError, SettingError, WorkError
from curate.generators import DrawRequest, Examples, Lazy, load_model
from curate.generators.diffusion import Diffusion
from curate.generators.images.diffusion_settings import DiffusionSettings
from curate.generators.images.objectives import SAMPLERS
from curate.generators.images.pixels import ImageShape, choose_shape, encode_png, pad_to_multiple, stack

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
    examples = Examples(media=pixels, label=["x", None] * 10)
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
    settings = model.draw_settings({"threads": threads})
    requests = [DrawRequest.of_label(model.labels[i % len(model.labels)] if i % 5 else None, 1000 + i) for i in range(21)]
    alone = by_index(model, requests, settings)
    random = np.random.default_rng(threads)
    for size in (1, 13, 21):
        chosen = random.permutation(21)[:size]
        for index, media in by_index(model, [requests[i] for i in chosen], settings).items():
            assert media == alone[chosen[index]]
    assert len(set(alone.values())) == 21


def test_a_model_read_twice_draws_the_same_bytes(trained):
    requests = [DrawRequest.of_label("3", seed) for seed in (0, 1, 2**62)]
    first = load_model(trained[0], device="cpu")
    settings = json.loads(json.dumps(first.draw_settings()))
    assert by_index(first, requests, settings) == by_index(load_model(trained[0], device="cpu"), requests, settings)


def test_seeds_that_differ_only_in_their_upper_half_differ(trained):
    model = load_model(trained[0], device="cpu")
    media = by_index(model, [DrawRequest.of_label("3", 5), DrawRequest.of_label("3", 5 + 2**40)], model.draw_settings())
    assert media[0] != media[1]


@pytest.mark.parametrize("objective", ["flow_matching", "epsilon", "v_prediction"])
def test_every_sampler_draws_images_under_every_objective(digits, tmp_path, objective):
    for schedule in ("linear", "cosine"):
        settings = TINY.changed({"objective": objective, "noise_schedule": schedule, "steps": 5, "widths": (16,)})
        Diffusion(settings).fit(*digits, tmp_path / schedule, options=ONE_THREAD)
        model = load_model(tmp_path / schedule, device="cpu")
        for sampler in SAMPLERS:
            for guidance in (0, 1, 2.5):
                chosen = model.draw_settings({"sampler": sampler, "steps": 2, "guidance": guidance})
                for drawn in model.draw([DrawRequest.of_label("1", 0), DrawRequest.of_label(None, 1)], chosen):
                    assert pixels_of(drawn).shape == (8, 8)
        assert np.isfinite(model.score(digits[1]).loss).all()


def test_images_of_odd_sides_come_back_at_their_size(unet):
    for drawn in unet.draw([DrawRequest.of_label("x", 0), DrawRequest.of_label(None, 1)], unet.draw_settings()):
        assert pixels_of(drawn).shape == (9, 7, 3)


def test_the_label_decides_what_is_drawn(tmp_path):
    pixels = np.zeros((40, 8, 8, 1), dtype=np.uint8)
    pixels[::2] = 255
    examples = Examples(media=pixels, label=["white", "black"] * 20)
    settings = TINY.changed({"steps": 120, "sample_steps": 8})
    Diffusion(settings).fit(examples, examples.take([]), tmp_path / "m", options=ONE_THREAD)
    model = load_model(tmp_path / "m", device="cpu")
    requests = [DrawRequest.of_label(label, i) for i, label in enumerate(["white", "black"] * 4)]
    for drawn in model.draw(requests, model.draw_settings()):
        assert (pixels_of(drawn).mean() > 128) == (drawn.request.label == "white")


def test_a_finished_folder_is_not_trained_again_and_another_training_is_refused(trained, digits):
    folder, report = trained
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert Diffusion(TINY).fit(*digits, folder, options=ONE_THREAD) == report
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(SettingError, match="other settings"):
        Diffusion(TINY.changed({"seed": 1})).fit(*digits, folder, options=ONE_THREAD)
    with pytest.raises(SettingError, match="other settings"):
        Diffusion(TINY).fit(digits[0].take(range(299)), digits[1], folder, options=ONE_THREAD)


def test_the_folder_holds_a_model_and_no_class_paths(trained):
    folder, _ = trained
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "config.json", "training.json", "README.md"}
    config = json.loads((folder / "config.json").read_text())["curate"]
    assert config["plugin"] == "diffusion" and config["labels"] == [str(d) for d in range(10)]
    assert DiffusionSettings.from_stored(config["settings"]) == TINY
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
        list(model.draw([DrawRequest.of_label("eleven", 0)], model.draw_settings()))
    with pytest.raises(SettingError, match="seed"):
        list(model.draw([DrawRequest.of_label("1", -1)], model.draw_settings()))
    for bad in ({"sampler": "magic"}, {"steps": 0}, {"guidance": -1}, {"batch": 12}, {"colour": 1}):
        with pytest.raises(SettingError):
            model.draw_settings(bad)
    with pytest.raises(SettingError, match="lack"):
        list(model.draw([DrawRequest.of_label("1", 0)], {"sampler": "heun"}))
    with pytest.raises(InputError, match="not a finished model"):
        load_model(tmp_path)


def test_settings_out_of_range_are_refused():
    for bad in ({"steps": 0}, {"steps": 2.5}, {"objective": "magic"}, {"widths": []}, {"label_dropout": 1.0}, {"seed": "0"}):
        with pytest.raises(SettingError):
            Diffusion.presets["tiny"].settings.changed(bad)
    with pytest.raises(SettingError) as caught:
        Diffusion.presets["tiny"].settings.changed({"stpes": 3})
    assert "steps" in (caught.value.hint or "")
    assert Diffusion.presets["tiny"].settings.changed({"steps": 3, "widths": [16]}).widths == (16,)


def test_words_of_an_earlier_release_are_read_and_no_longer_taken():
    stored = {**TINY.stored(), "objective": "velocity"}
    assert DiffusionSettings.from_stored(stored).objective == "v_prediction"
    assert DiffusionSettings.from_stored(stored).in_first_words() == stored
    with pytest.raises(SettingError, match="'velocity'") as caught:
        TINY.changed({"objective": "velocity"})
    assert "v_prediction" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": 0}, "steps must be a whole number, at least 1, got 0"),
        ({"warmup": 1.5}, r"warmup must be a number in \[0, 1\], got 1.5"),
        ({"draw_batch": 12}, "draw_batch must be a power of two, got 12"),
        ({"widths": [2]}, "widths must be a list of numbers, each a whole number, at least 4"),
        ({"widths": [16, 16]}, "widths must be one number for the MLP"),
        ({"label_dropout": 0.0, "guidance": 2.0}, "guidance must be 0 or 1 where label_dropout is 0, got 2.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number, above 0, got nan"),
    ],
)
def test_a_wrong_setting_is_told_with_its_value_and_its_range(changes, told):
    with pytest.raises(SettingError, match=told):
        TINY.changed(changes)


def test_scores_are_as_many_as_examples_however_few_are_validated(trained, digits):
    folder, _ = trained
    config = json.loads((folder / "config.json").read_text())
    assert config["curate"]["settings"]["validation_limit"] == 1024
    model = load_model(folder, device="cpu")
    many = digits[0].take([row % 300 for row in range(1100)])
    assert model.family.settings.validation_limit < len(many) == len(model.score(many).loss)


def encoded(images):
    def give(row):
        out = io.BytesIO()
        images[row].save(out, format="PNG")
        return out.getvalue()

    return Examples(media=Lazy(len(images), give))


def test_images_are_brought_to_the_commonest_size_with_their_proportions():
    examples = encoded([Image.new("L", (12, 6), 90), Image.new("L", (12, 6), 90), Image.new("L", (6, 12), 200)])
    shape = choose_shape(examples, max_side=6)
    assert shape == ImageShape(3, 6, 1)
    pixels, scaled = stack(examples, shape)
    assert scaled == 3 and (pixels[0] == 90).all() and (pixels[2] == 200).all()
    assert choose_shape(encoded([Image.new("RGB", (4, 4)), Image.new("L", (4, 4))]), max_side=9).channels == 3


def test_transparency_lies_on_white_and_broken_images_say_which():
    clear = encoded([Image.new("RGBA", (4, 4), (0, 0, 0, 0))])
    assert (stack(clear, ImageShape(4, 4, 3))[0] == 255).all()
    broken = Examples(media=[b"\x89PNG\r\n\x1a\n nothing"], ids=[77])
    with pytest.raises(BadRecord) as caught:
        stack(broken, ImageShape(4, 4, 1))
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
