"""Picks a sample's text, image, label and id out of a record, as `--text`, `--image`, `--label`, `--id`, `--label-from` say."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.errors import BadRecord, SettingError
from curate.ingestion.field_names import ABSENT, FieldWatch
from curate.ingestion.label_sources import label_source
from curate.ingestion.plain_values import metadata_json, plain
from curate.modalities import Limits, is_known_media, load_modality, modality_of
from curate.records import Record

if TYPE_CHECKING:
    from curate.readers.opening.sources import SourceFile

_OBVIOUS = ("text", "content", "body", "document", "sentence")
_PATIENCE = 20
"""Rows that may lack a named field at the start before the name is taken for a mistake."""

_ATOMS = (str, bool, type(None))
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.IGNORECASE)
_NO_LIMITS = Limits()


class Picked(NamedTuple):
    """What a record is as a sample.

    Attributes:
        text: None for media without a caption.
        media: an encoded file; None where the text is the content.
        label: None where it is missing.
        external_id: the id that the source gives it.
        metadata: every field that was not picked, as JSON-like values; bytes are {"base64": …}, NaN and infinities None.
        modality: what the media, or else the text, is.
        label_told, id_told: whether the label and the id were looked for and found, be it empty; what was not is left as it
            is by an update.
    """

    text: str | None
    media: bytes | None
    label: str | None
    external_id: str | None
    metadata: dict[str, Any]
    modality: str = "text"
    label_told: bool = False
    id_told: bool = False

    @property
    def content(self) -> str | bytes:
        """What the sample's identity and its modality's validation are about."""
        return self.media if self.media is not None else self.text or ""


@dataclass(slots=True)
class _State:
    """What the rows so far have shown."""

    good: bool = False
    bad: int = 0
    text_field: str | None = None
    image_field: str | None = None


@dataclass(frozen=True)
class Selection:
    """How rows become samples.

    Attributes:
        text: fields joined into the text; a dotted path reaches into objects and lists ("messages.0.content").
            None named: the one field called text, content, body, document or sentence, or the only one that holds text.
        label, id, image: a field each, dotted likewise; an image, or media of another modality, is bytes, a {"bytes": …}
            object or a data: URL.
        label_from: "folder", "folder:2" (the grandparent), or "file-name REGEX" (its first group, else all that it matched).
        joiner: stands between joined texts.

    Raises:
        SettingError: `label_from` cannot be read, or both it and `label` are given.
    """

    text: tuple[str, ...] = ()
    label: str | None = None
    id: str | None = None
    image: str | None = None
    label_from: str | None = None
    joiner: str = "\n\n"
    _state: _State = field(default_factory=_State, init=False, repr=False, compare=False)
    _from: Callable[[Record, SourceFile], str] | None = field(default=None, init=False, repr=False, compare=False)
    _used: frozenset[str] = field(default=frozenset(), init=False, repr=False, compare=False)
    _nested: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)
    _watch: FieldWatch = field(default_factory=lambda: FieldWatch({}), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.label and self.label_from:
            raise SettingError(
                f"a label comes from the field {self.label!r} or from {self.label_from!r}, not both",
                hint="give --label or --label-from",
            )
        if any(not name.strip() for name in self.text):
            raise SettingError(f"--text names an empty field: {','.join(self.text)!r}", hint="--text question,answer")
        named = [name for name in (*self.text, self.label, self.id, self.image) if name]
        object.__setattr__(self, "_used", frozenset(named))
        object.__setattr__(self, "_nested", tuple(name for name in named if "." in name))
        object.__setattr__(self, "_from", label_source(self.label_from) if self.label_from else None)
        options = dict.fromkeys(self.text, "--text")
        options |= {name: f"--{part}" for part in ("label", "id", "image") if (name := getattr(self, part))}
        object.__setattr__(self, "_watch", FieldWatch(options))

    def begin_source(self, *, fitted_before: bool) -> None:
        """Choose the fields anew, so that what the rows of a source become depends on that source alone.

        Args:
            fitted_before: rows were taken with these settings before, so a row without a named field is bad data, no mistake.
        """
        state = self._state
        state.text_field = state.image_field = None
        state.good = state.good or fitted_before
        if fitted_before:
            self._watch.trust()

    def check_names(self) -> None:
        """Refuse a named field that the rows so far lack and none has had.

        Raises:
            SettingError: it names the fields that are near it.
        """
        self._watch.check()

    def notes(self) -> list[str]:
        """What the user should know of the named fields: which are missing in some rows."""
        return self._watch.notes()

    def pick(self, record: Record, source: SourceFile) -> Picked:
        """Make a sample's parts of one record.

        Raises:
            BadRecord: `no-text`, `no-image`, `bad-label`, `bad-id`, `no-label-match`, `nested-too-deep`, and what its modality
                finds wrong with a text; media are validated later, in threads.
            SettingError: no row so far has the fields that were named, or it cannot be told which field is the text.
        """
        label = self._from(record, source) if self._from else None
        fields = record.fields
        if fields is None:
            told = _modality(record.modality, record.media)
            if record.media is None and record.text is not None:
                load_modality(told).inspect(record.text, _NO_LIMITS)
            return Picked(record.text, record.media, label, None, {}, told, self._from is not None)
        state = self._state
        if not self.text and not self.image:
            self._settle(fields)
        media = self._media(fields)
        text = self._text(fields)
        told = _modality(record.modality, media)
        if text is not None:
            load_modality(told if media is None else "text").inspect(text, _NO_LIMITS)
        found = self._watch.get(fields, self.label) if self.label else ABSENT
        if self.label:
            label = _name(found, "bad-label")
        number = self._watch.get(fields, self.id) if self.id else ABSENT
        state.good = True
        label_told = self._from is not None or found is not ABSENT
        rest = self._rest(fields)
        return Picked(text, media, label, _name(number, "bad-id"), rest, told, label_told, number is not ABSENT)

    def _text(self, fields: Mapping[str, Any]) -> str | None:
        names = self.text
        if len(names) == 1 or not names:
            name = names[0] if names else self._state.text_field
            if name is None:
                return None
            text = self._one_text(fields, name)
        else:
            text = self.joiner.join([part for name in names if (part := self._one_text(fields, name)).strip()])
        return text

    def _one_text(self, fields: Mapping[str, Any], name: str) -> str:
        value = self._watch.get(fields, name)
        if type(value) is str:
            return value
        if value is ABSENT:
            self._missing(name)
            raise BadRecord("no-text", f"no field {name!r}; there are {', '.join(map(str, fields))}"[:200])
        if value is None or (type(value) is float and not math.isfinite(value)):
            raise BadRecord("no-text", f"the field {name!r} is null")
        if isinstance(value, bytes):
            raise BadRecord("no-text", f"the field {name!r} holds bytes")
        return metadata_json(value)

    def _media(self, fields: Mapping[str, Any]) -> bytes | None:
        name = self.image or self._state.image_field
        if name is None:
            return None
        value = self._watch.get(fields, name)
        if isinstance(value, dict):
            value = value.get("bytes")
        if isinstance(value, bytes) and value:
            return value
        if isinstance(value, str) and (match := _DATA_URL.match(value)):
            try:
                return base64.b64decode(value[match.end() :], validate=True)
            except ValueError as error:
                raise BadRecord("no-image", str(error)) from None
        if value is ABSENT:
            self._missing(name)
        raise BadRecord("no-image", f"the field {name!r} holds no image bytes")

    def _missing(self, name: str) -> None:
        """Stop when the first rows all lack a named field: that is a typing mistake, not bad data."""
        state = self._state
        state.bad += 1
        if not state.good and state.bad >= _PATIENCE:
            self._watch.check(name)

    def _settle(self, fields: Mapping[str, Any]) -> None:
        """Choose the text or image field when none was named; a choice that fits the row stays."""
        state = self._state
        if state.text_field in fields or state.image_field in fields:
            return
        state.text_field = state.image_field = None
        rest = {name: value for name, value in fields.items() if name not in self._used}
        obvious = [name for name in _OBVIOUS if name in rest]
        strings = [name for name, value in rest.items() if isinstance(value, str)]
        images = [name for name, value in rest.items() if _holds_media(value)]
        if len(obvious) == 1 or (not obvious and not images and len(strings) == 1):
            state.text_field = (obvious or strings)[0]
        elif len(images) == 1 and not obvious:
            state.image_field = images[0]
        elif state.good:
            raise BadRecord("no-text", f"which field is the text? {', '.join(map(str, fields))}"[:200])
        else:
            candidates = strings or list(map(str, fields))
            raise SettingError(
                f"which field is the text? There are {', '.join(map(str, fields)) or 'none'}",
                hint=f"--text {','.join(candidates[:2]) or 'FIELD'}",
            )

    def _rest(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        used = self._used
        state = self._state
        rest = {name: value for name, value in fields.items() if name not in used}
        if state.text_field is not None:
            rest.pop(state.text_field, None)
        elif state.image_field is not None:
            rest.pop(state.image_field, None)
        for name, value in rest.items():
            if type(value) not in _ATOMS:
                rest[name] = plain(value)
        for path in self._nested:
            if path not in fields:
                _drop(rest, path.split("."))
        return rest


def _drop(rest: dict[str, Any], parts: list[str]) -> None:
    """Take one picked leaf out of nested metadata; the objects on the way are `plain`'s copies. List items stay."""
    holder: Any = rest
    for part in parts[:-1]:
        if not isinstance(holder, dict) or part not in holder:
            return
        holder = holder[part]
    if isinstance(holder, dict):
        holder.pop(parts[-1], None)


def _modality(told: str, media: bytes | None) -> str:
    """The modality of a record: what its reader told, else what the first bytes of its media say."""
    if told or media is None:
        return told or "text"
    return modality_of(media)


def _name(value: Any, reason: str) -> str | None:
    """Write a label or an id as text; nothing, white space and NaN are None."""
    if type(value) is str:
        if "\0" in value:
            raise BadRecord(reason, "it holds a NUL")
        return value if value.strip() else None
    if value is ABSENT or value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    raise BadRecord(reason, f"it is a {type(value).__name__}, not a word or a number")


def _holds_media(value: Any) -> bool:
    data = value.get("bytes") if isinstance(value, dict) else value
    return isinstance(data, bytes) and is_known_media(data)
