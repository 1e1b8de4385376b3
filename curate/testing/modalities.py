"""The laws of `curate.modalities.Modality`, on the contents that it gives as examples."""

from __future__ import annotations

from collections.abc import Sequence

from curate import plugins
from curate.errors import BadRecord
from curate.modalities import Content, Limits, Modality
from curate.records import takes
from curate.testing.laws import hold, require


def check_modality(modality: type[Modality]) -> None:
    """Hold a modality to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, modality(), modality.__name__)


def _its_examples_are_sound_and_distinct(kind: Modality) -> None:
    contents = kind.examples()
    require(len(set(contents)) == 3, f"three examples that differ, not {len(set(contents))}")
    for content in contents:
        facts = kind.inspect(content, Limits())
        require(isinstance(content, str if kind.stored == "text" else bytes), f"an example is of {type(content)}")
        require((facts.suffix == "") == (kind.stored == "text"), f"a blob has a suffix and a text none, got {facts.suffix!r}")
        require(facts.suffix[:1] in ("", "."), f"a suffix begins with a dot, got {facts.suffix!r}")
        require((facts.width is None) == (facts.height is None), "a width without a height")
        require(not kind.is_blank(content), "an example is blank")
        require(not isinstance(content, bytes) or kind.recognises(content), "it does not recognise its example")


def _damage_is_a_bad_record_with_a_reason(kind: Modality) -> None:
    halves = [data[: len(data) // 2] for data in kind.examples() if isinstance(data, bytes)]
    damaged: Sequence[Content] = [""] if kind.stored == "text" else [b"", b"\0" * 64, *halves]
    for content in damaged:
        try:
            kind.inspect(content, Limits())
        except BadRecord as bad:
            require(bad.reason and " " not in bad.reason, f"a reason is words joined by hyphens, got {bad.reason!r}")
        else:
            raise AssertionError(f"damage is taken for a sound content: {content[:40]!r}")


def _what_it_uses_by_default_takes_it(kind: Modality) -> None:
    names = [name for name, made in plugins.usable("modalities") if isinstance(kind, made)]
    for name in names:  # a class that is not registered has no name that others could take
        require(takes(plugins.load("embedders", kind.embedder.partition(":")[0]).modalities, name), "its embedder refuses it")
        for method in (*kind.dedupe_methods, kind.tuned_method):
            require(takes(plugins.load("dedupers", method).modalities, name), f"its dedupe method {method} refuses it")
    require(kind.window > 0 and kind.plural, "it has no window or no plural")
    require((kind.column is None) == (kind.stored == "text"), "a blob has a column of its own, and a text none")


def _a_preview_is_small_or_there_is_none(kind: Modality) -> None:
    for content in kind.examples():
        made = kind.preview(content if isinstance(content, bytes) else content.encode(), 8)
        if made is None:
            require(not kind.pictured, "it is pictured, and shows nothing")
        else:
            require(made.kind.startswith("image/") and made.data and made.width > 0, f"a preview is no picture: {made.kind}")


LAWS = (
    _its_examples_are_sound_and_distinct,
    _damage_is_a_bad_record_with_a_reason,
    _what_it_uses_by_default_takes_it,
    _a_preview_is_small_or_there_is_none,
)
