"""Every error that `curate` raises on purpose.

CurateError                 the root: a message that says what and with which value, and a hint that says what to do
├── SettingError            a setting or an argument is outside what is allowed (wrong usage)
│   └── WorkspaceNotFound   no workspace here or above, and none was named
├── InputError              a file, folder, dataset, split or sample that was named is missing or cannot be read
├── MissingExtra            an optional package is needed; the hint names the install command
├── WorkError               the work itself failed: training diverged, a peer program died, the disk is full
├── NeedsConfirmation       the step would do something drastic and was not told `--yes`
└── WorkspaceError          the workspace cannot be used as it is
    ├── WorkspaceLocked     another process is writing to it; the message names its process id
    └── WorkspaceDamaged    its files contradict each other, or a newer `curate` wrote them

`BadRecord` is not among them: it rejects one record, is counted, and never ends a run. `PluginWarning` is a warning: a plug-in
from outside cannot be used and is left out.
"""

from __future__ import annotations


class CurateError(Exception):
    """An expected failure: printed as `error: …` and `try: …`, without a traceback.

    Args:
        message: what went wrong, with the offending value.
        hint: what to do about it, often a command to type; None where there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SettingError(CurateError):
    """A setting or an argument is outside what is allowed."""

    exit_code = 2


class WorkspaceNotFound(SettingError):
    """No workspace was named, and none stands in this folder or above it."""


class InputError(CurateError):
    """Something that was named does not exist or cannot be read."""


class MissingExtra(CurateError):
    """An optional package is not installed."""


class WorkError(CurateError):
    """The work failed half-way; what was committed before stays."""


class NeedsConfirmation(CurateError):
    """The step stopped before something drastic; `--yes` goes on."""


class WorkspaceError(CurateError):
    """The workspace cannot be used as it is."""

    exit_code = 4


class WorkspaceLocked(WorkspaceError):
    """Another process holds the catalog."""


class WorkspaceDamaged(WorkspaceError):
    """The workspace's files contradict each other."""


class PluginWarning(UserWarning):
    """A plug-in from outside was left out, with the reason; the work goes on without it."""


class BadRecord(Exception):
    """One record cannot be taken.

    Args:
        reason: a word or two from a closed vocabulary, joined by hyphens: `invalid-json`, `truncated-image`.
        detail: what exactly was wrong, for a person; may be empty.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
