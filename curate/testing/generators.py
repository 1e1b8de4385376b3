"""The laws of `curate.generators.Generator`, on the training of a second or two that its example brings."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from curate.errors import SettingError
from curate.generators import DrawRequest, FitOptions, FitReport, Generator, Model, read_config, weights_file
from curate.records import Silent
from curate.testing.laws import hold, refused, require

_OPTIONS = FitOptions(device="cpu", threads=1, checkpoint_seconds=0, checkpoint_steps=3)


def check_generator(generator: type[Generator]) -> None:
    """Hold a family, with the settings and examples of its `example`, to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    with tempfile.TemporaryDirectory() as folder:
        hold(LAWS, _Case(generator, Path(folder)), generator.__name__)


class _Interrupt(Silent):
    """Ends a training at a step, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        self.at, self.done = at, 0

    def advance(self, count: int) -> None:
        self.done += count
        if self.done >= self.at:
            raise KeyboardInterrupt


@dataclass(frozen=True)
class _Case:
    """A family's class, and a folder for its models."""

    kind: type[Generator]
    folder: Path

    @cached_property
    def tiny(self) -> Any:
        return self.kind.example()

    @cached_property
    def report(self) -> FitReport:
        return self.fit("whole")

    @cached_property
    def model(self) -> Model:
        require(self.report.steps >= 10, "an example trains ten steps or more")
        return self.kind.load(self.folder / "whole", device="cpu")

    def fit(self, name: str, **more: Any) -> FitReport:
        tiny = self.tiny
        return self.kind(tiny.settings).fit(tiny.train, tiny.validation, self.folder / name, options=_OPTIONS, **more)

    @property
    def requests(self) -> list[DrawRequest]:
        labels = (*self.model.labels, None)
        return [DrawRequest.of_label(labels[i % len(labels)], 1000 + i) for i in range(9)]

    def draw(self, model: Model, requests: list[DrawRequest], settings: dict[str, Any]) -> dict[int, Any]:
        return {drawn.index: (drawn.text, drawn.media) for drawn in model.draw(requests, settings)}


def _presets_are_complete_and_survive_json(case: _Case) -> None:
    require(case.kind.presets and case.kind.modality and case.kind.roles and case.kind.name, "a part of the contract is empty")
    for preset in case.kind.presets.values():
        require(len(preset.measured) > 10, "a preset does not say what was measured with it, or that nothing was")
        written = json.loads(json.dumps(preset.settings.stored()))
        require(type(preset.settings).from_stored(written) == preset.settings, "settings change on their way through JSON")
        generator = case.kind(preset.settings.changed({"steps": 3}))
        require(generator.settings.steps == 3 and generator.objective, "it does not keep its settings, or names no objective")
        for bad in ({"steps": 0}, {"no-such-setting": 1}):
            with refused(SettingError, str(bad)):
                preset.settings.changed(bad)
    with refused(SettingError, "a foreign object as settings"):
        case.kind(object())


def _an_estimate_leaves_nothing_behind(case: _Case) -> None:
    found = case.kind(case.tiny.settings).estimate(case.tiny.train, options=_OPTIONS)
    require(found.seconds > 0 and not list(case.folder.iterdir()), "an estimate is no time, or leaves files behind")


def _an_interrupted_training_ends_in_the_bits_of_an_undisturbed_one(case: _Case) -> None:
    try:
        case.fit("cut", progress=_Interrupt(5))
    except KeyboardInterrupt:
        require(not (case.folder / "cut" / "config.json").exists(), "an unfinished folder has a config.json")
    resumed = case.fit("cut")
    require(resumed.resumed_at == (3,), f"it went on at {resumed.resumed_at}, and there is a checkpoint of step 3")
    one, two = ([(row.step, row.loss, row.validation_loss) for row in report.curve] for report in (case.report, resumed))
    require(one == two, "the losses differ")
    files = [weights_file(case.folder / name).read_bytes() for name in ("whole", "cut")]
    require(files[0] == files[1], "the weights differ")


def _a_finished_training_is_not_done_again(case: _Case) -> None:
    require(case.report == case.fit("whole"), "the second report differs from the first")
    require(read_config(case.folder / "whole")["plugin"] == case.kind.name, "the folder names another plug-in")
    fewer = case.tiny.train.take(range(len(case.tiny.train) - 1))
    with refused(SettingError, "another training in a finished folder"):
        case.kind(case.tiny.settings).fit(fewer, case.tiny.validation, case.folder / "whole", options=_OPTIONS)


def _a_draw_depends_on_its_request_alone(case: _Case) -> None:
    settings, requests = case.model.draw_settings(case.tiny.draw, most_threads=1), case.requests
    drawn = case.draw(case.model, requests, settings)
    require(sorted(drawn) == list(range(len(requests))), "not every request is answered once")
    require(all((text is None) != (media is None) for text, media in drawn.values()), "a draw is a text or media")
    backwards = case.draw(case.model, requests[::-1], settings)
    require(backwards == {len(requests) - 1 - index: drawn[index] for index in drawn}, "a draw depends on the order")
    require(case.draw(case.model, requests[2:3], settings)[0] == drawn[2], "a draw depends on its neighbours")
    require(len(set(drawn.values())) > 1, "seeds and labels make no difference")


def _a_model_read_again_draws_the_same_bytes(case: _Case) -> None:
    again = case.kind.load(case.folder / "whole", device="cpu")
    require((again.labels, again.modality) == (case.model.labels, case.kind.modality), "labels or modality differ")
    settings = case.model.draw_settings(case.tiny.draw)
    require("environment" in settings, "draw settings do not tell the environment")
    few = case.requests[:3]
    require(
        case.draw(again, few, json.loads(json.dumps(settings))) == case.draw(case.model, few, settings),
        "settings that went through JSON draw other bytes",
    )


def _a_score_is_one_finite_number_an_example(case: _Case) -> None:
    examples = case.tiny.validation
    if not case.model.can_score:
        with refused(SettingError, "a score"):
            case.model.score(examples)
        return
    scores, again = case.model.score(examples), case.model.score(examples)
    require(scores.loss.shape == (len(examples),), f"{scores.loss.shape} scores for {len(examples)} examples")
    require(
        abs(float(scores.loss.sum())) < float("inf") and (scores.loss == again.loss).all(), "scores are not finite, or change"
    )
    require((scores.nats is not None) == case.model.has_likelihood, "nats are not what `has_likelihood` says")


def _what_it_does_not_know_is_refused(case: _Case) -> None:
    settings = case.model.draw_settings(case.tiny.draw)
    for what, request in {
        "an unknown label": DrawRequest.of_label("no such label", 1),
        "an unknown condition": DrawRequest(1, {"no-such-condition": 1}),
        "a negative seed": DrawRequest(-1),
    }.items():
        with refused(SettingError, what):
            list(case.model.draw([request], settings))
    with refused(SettingError, "an unknown draw setting"):
        case.model.draw_settings({"no-such-setting": 1})
    with refused(SettingError, "incomplete draw settings"):
        list(case.model.draw([DrawRequest(1)], {}))


LAWS = (
    _presets_are_complete_and_survive_json,
    _an_estimate_leaves_nothing_behind,
    _an_interrupted_training_ends_in_the_bits_of_an_undisturbed_one,
    _a_finished_training_is_not_done_again,
    _a_draw_depends_on_its_request_alone,
    _a_model_read_again_draws_the_same_bytes,
    _a_score_is_one_finite_number_an_example,
    _what_it_does_not_know_is_refused,
)
