"""The laws of a generator family, tried with the example that it brings.

They need nothing but the contract (`curate.generators`), so that they hold a family of anybody to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.errors import SettingError
from curate.generators import DrawRequest, FitOptions, Model, read_config, weights_file
from curate.records import Silent

OPTIONS = FitOptions(device="cpu", threads=1, checkpoint_seconds=0, checkpoint_steps=3)


class Interrupt(Silent):
    """Ends a training at a step, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        self.at, self.done = at, 0

    def advance(self, count: int) -> None:
        self.done += count
        if self.done >= self.at:
            raise KeyboardInterrupt


def check_generator(plugin: Any, folder: Path) -> None:
    """Try every law; an AssertionError says which one does not hold.

    Args:
        folder: an empty one, for models.
    """
    check_presets(plugin)
    model = check_training(plugin, folder)
    check_draws(plugin, model)
    check_reloading(plugin, model, folder / "whole")
    check_scores(plugin, model)
    check_refusals(plugin, folder)


def check_presets(plugin: Any) -> None:
    """Presets are complete settings that survive JSON, say what was measured, and refuse what is not a setting."""
    assert plugin.presets and plugin.modality and plugin.roles and plugin.name
    for preset in plugin.presets.values():
        assert len(preset.measured) > 10, "a preset says what was measured with it, or that nothing was"
        written = json.loads(json.dumps(preset.settings.stored()))
        assert type(preset.settings).from_stored(written) == preset.settings
        assert plugin(preset.settings.changed({"steps": 3})).settings.steps == 3
        assert plugin(preset.settings).objective
        for bad in ({"steps": 0}, {"no-such-setting": 1}):
            try:
                preset.settings.changed(bad)
            except SettingError:
                continue
            raise AssertionError(f"settings accept {bad}")


def check_training(plugin: Any, folder: Path) -> Model:
    """An estimate leaves nothing; an interrupted training ends in the bits of an undisturbed one; a finished one is not done
    again.
    """
    tiny = plugin.example()
    generator = plugin(tiny.settings)
    assert generator.estimate(tiny.train, options=OPTIONS).seconds > 0 and not list(folder.iterdir())
    whole = generator.fit(tiny.train, tiny.validation, folder / "whole", options=OPTIONS)
    try:
        plugin(tiny.settings).fit(tiny.train, tiny.validation, folder / "cut", options=OPTIONS, progress=Interrupt(5))
    except KeyboardInterrupt:
        assert not (folder / "cut" / "config.json").exists(), "a folder with config.json is a finished model"
    resumed = plugin(tiny.settings).fit(tiny.train, tiny.validation, folder / "cut", options=OPTIONS)
    assert resumed.resumed_at == (3,) and resumed.steps == whole.steps
    one, two = (weights_file(folder / name) for name in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes(), "an interrupted training ends in other weights"
    assert [(row.loss, row.validation_loss) for row in resumed.curve] == [
        (row.loss, row.validation_loss) for row in whole.curve
    ]
    again = generator.fit(tiny.train, tiny.validation, folder / "whole", options=OPTIONS)
    assert again == whole, "a finished training is done again"
    assert read_config(folder / "whole")["plugin"] == plugin.name
    model: Model = plugin.load(folder / "whole", device="cpu")
    return model


def check_draws(plugin: Any, model: Model) -> None:
    """What is drawn depends on the request and the settings, and not on its neighbours or their order."""
    chosen = model.draw_settings(plugin.example().draw, most_threads=1)
    requests = _requests(model)
    drawn = _draw(model, requests, chosen)
    assert set(drawn) == set(range(len(requests))), "every request is answered once"
    assert all((text is None) != (media is None) for text, media in drawn.values())
    backwards = _draw(model, requests[::-1], chosen)
    alone = _draw(model, requests[2:3], chosen)
    assert backwards == {len(requests) - 1 - index: content for index, content in drawn.items()}, "a draw depends on the order"
    assert alone[0] == drawn[2], "a draw depends on its neighbours"
    assert len(set(drawn.values())) > 1, "seeds make no difference"


def check_reloading(plugin: Any, model: Model, folder: Path) -> None:
    """A model read again draws the same bytes from settings that went through JSON."""
    again: Model = plugin.load(folder, device="cpu")
    assert (again.labels, again.modality) == (model.labels, plugin.modality)
    chosen = model.draw_settings(plugin.example().draw)
    assert "environment" in chosen
    requests = _requests(model)[:3]
    assert _draw(again, requests, json.loads(json.dumps(chosen))) == _draw(model, requests, chosen)


def check_scores(plugin: Any, model: Model) -> None:
    """A score is one finite number an example, and the same one each time."""
    examples = plugin.example().validation
    if not model.can_score:
        return
    scores, again = model.score(examples), model.score(examples)
    assert scores.loss.shape == (len(examples),) and abs(scores.loss.sum()) < float("inf")
    assert (scores.loss == again.loss).all()
    assert (scores.nats is not None) == model.has_likelihood


def check_refusals(plugin: Any, folder: Path) -> None:
    """Other examples, other settings, unknown labels, conditions and draw settings are refused with a SettingError."""
    tiny = plugin.example()
    model: Model = plugin.load(folder / "whole", device="cpu")
    fewer = tiny.train.take(range(len(tiny.train) - 1))
    chosen = model.draw_settings(tiny.draw)
    attempts = {
        "other examples": lambda: plugin(tiny.settings).fit(fewer, tiny.validation, folder / "whole", options=OPTIONS),
        "settings of another class": lambda: plugin(object()),
        "an unknown label": lambda: list(model.draw([DrawRequest.of_label("no such label", 1)], chosen)),
        "an unknown condition": lambda: list(model.draw([DrawRequest(1, {"no-such-condition": 1})], chosen)),
        "an unknown draw setting": lambda: model.draw_settings({"no-such-setting": 1}),
        "incomplete draw settings": lambda: list(model.draw([DrawRequest(1)], {})),
        "a negative seed": lambda: list(model.draw([DrawRequest(-1)], chosen)),
    }
    for what, attempt in attempts.items():
        try:
            attempt()
        except SettingError:
            continue
        raise AssertionError(f"{what} is not refused")


def _requests(model: Model) -> list[DrawRequest]:
    labels = (*model.labels, None)
    return [DrawRequest.of_label(labels[i % len(labels)], 1000 + i) for i in range(9)]


def _draw(model: Model, requests: list[DrawRequest], settings: dict[str, Any]) -> dict[int, tuple[str | None, bytes | None]]:
    return {drawn.index: (drawn.text, drawn.media) for drawn in model.draw(requests, settings)}
