"""The settings themselves: each one declared once, with its default, its range and its wire name.

Law: `Settings.load` is total and every `Settings` is within its ranges, however it was made: the
constructors check by the same readers as `load`. What the editor says goes before the environment,
the environment before the default. Keys are no settings: the model's adapter reads them from the
environment at each attempt, so that none can end up in a settings file, a repr or a message (P11).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs

from holdfast.settings import endpoints as places
from holdfast.settings import readers
from holdfast.settings.endpoints import DEFAULT_ENDPOINT, EndpointSetting
from holdfast.settings.readers import Continue, Method, PermissionRule, Price, Reader, WrongValue
from holdfast.settings.sources import SECTION, Fields, Problem, Reading

T = TypeVar("T")

STORE_FILE: Final = "holdfast.db"
DEFAULT_BASE_URL: Final = "https://api.anthropic.com"
DEFAULT_OUTPUT_TOKENS: Final = 32_000


def _setting(wire: str, default: T, read: Reader[T], above: str = "") -> T:
    """Declare a setting. It must be greater than its neighbour `above`, when there is one."""

    def check(owner: Any, _field: attrs.Attribute[T], value: Any) -> None:
        read(value)
        if above and value is not None and not getattr(owner, above) < value:
            raise WrongValue(f"greater than {above} ({getattr(owner, above)})", value)

    field: T = attrs.field(
        default=default, validator=check, metadata={"wire": wire, "read": read, "above": above}
    )
    return field


@attrs.frozen(kw_only=True)
class CompactionSettings:
    """When compaction starts, in shares of the window, how long it may take in all, in seconds, and
    which way is tried first.

    At the soft mark it starts in the background; at the hard mark the next request waits for it.
    """

    soft_mark: float = _setting("softMark", 0.75, readers.number(0.1, 0.95))
    hard_mark: float = _setting("hardMark", 0.92, readers.number(0.2, 0.98), above="soft_mark")
    deadline_s: float = _setting("deadlineSeconds", 300.0, readers.number(1, 3_600))
    method: Method = _setting(  # noqa: RUF009 (an enumeration is immutable)
        "method", Method.API, readers.method
    )


@attrs.frozen(kw_only=True)
class StreamSettings:
    """How long a stream may be silent, in seconds, until a person is told, and until it is cut.

    A stream that lives but brings nothing of an answer is cut after `progress_cut_s`. An answer to
    a small request must begin within `first_byte_s`; a large one gets more time.
    """

    idle_warn_s: float = _setting("idleWarnSeconds", 8.0, readers.number(0.1, 3_600))
    idle_cut_s: float = _setting(
        "idleCutSeconds", 90.0, readers.number(0.1, 3_600), above="idle_warn_s"
    )
    progress_cut_s: float = _setting("progressCutSeconds", 600.0, readers.number(0.1, 86_400))
    first_byte_s: float = _setting("firstByteSeconds", 120.0, readers.number(0.1, 3_600))


@attrs.frozen(kw_only=True)
class RetrySettings:
    """How long one wait between retries may be, and all of them together, in seconds.

    Progress resets the budget. A turn that has spent it is paused, never failed (P3), and looks
    ever more rarely, at most `probe_max_s` apart, whether the endpoint answers again. After
    `failover_s` of trouble the next endpoint of the fail-over list answers instead, if there is
    one.
    """

    max_delay_s: float = _setting("maxDelaySeconds", 60.0, readers.number(0.1, 3_600))
    budget_s: float = _setting(
        "budgetSeconds", 600.0, readers.number(0.1, 86_400), above="max_delay_s"
    )
    probe_max_s: float = _setting("probeMaxSeconds", 300.0, readers.number(0.1, 86_400))
    failover_s: float = _setting("failoverSeconds", 60.0, readers.number(0, 86_400))


def default_data_dir() -> Path:
    """Return the user's data directory as the platform has it. Nothing is created."""
    from platformdirs import user_data_dir  # noqa: PLC0415  # only who needs it pays for it

    return Path(user_data_dir(SECTION, appauthor=False)).absolute()


@attrs.frozen(kw_only=True)
class Settings:
    """All settings, checked.

    Token counts are the model's. `context_window_tokens` overrides what the model says of itself;
    None leaves it alone. Without `prices` no cost is shown. `base_url` has no slash at its end and
    is the endpoint `default`; `endpoints` are more, `endpoint` names the one where new sessions
    begin, and `failover` those that stand in for each other, in order. Both paths are absolute.
    """

    model: str = _setting("model", "claude-opus-5-5", readers.name)
    base_url: str = _setting("baseUrl", DEFAULT_BASE_URL, readers.base_url)
    max_output_tokens: int = _setting(
        "maxOutputTokens", DEFAULT_OUTPUT_TOKENS, readers.whole_number(1, 1_000_000)
    )
    context_window_tokens: int | None = _setting(
        "contextWindowTokens",
        None,
        readers.optional(readers.whole_number(4_096, 100_000_000)),
        above="max_output_tokens",
    )
    permissions: tuple[PermissionRule, ...] = _setting("permissions", (), readers.permissions)
    prices: tuple[Price, ...] = _setting("prices", (), readers.prices)
    continue_interrupted: Continue = _setting(  # noqa: RUF009 (an enumeration is immutable)
        "continueInterrupted", Continue.ALWAYS, readers.continue_interrupted
    )
    endpoints: tuple[EndpointSetting, ...] = _setting("endpoints", (), places.endpoints)
    endpoint: str = _setting("endpoint", DEFAULT_ENDPOINT, readers.name)
    failover: tuple[str, ...] = _setting("failover", (), places.failover)
    compaction: CompactionSettings = CompactionSettings()
    stream: StreamSettings = StreamSettings()
    retry: RetrySettings = RetrySettings()
    data_dir: Path = attrs.field(factory=default_data_dir)
    store_path: Path = attrs.field(
        default=attrs.Factory(lambda self: self.data_dir / STORE_FILE, takes_self=True)
    )

    @classmethod
    def load(
        cls, editor: object, environ: Mapping[str, str]
    ) -> tuple[Settings, tuple[Problem, ...]]:
        """Read the editor's section `holdfast` (any JSON, or None) and the environment.

        Never raises: each setting that was not taken is one problem. A `contextWindowTokens`
        without a `maxOutputTokens` leaves at most a quarter of that window to an answer.
        """
        reading = Reading(_DECLARED)
        address = environ.get("ANTHROPIC_BASE_URL", "").strip()
        if address:
            reading.take("baseUrl", address, "ANTHROPIC_BASE_URL")
        reading.editor(editor)
        window = reading.given.get("contextWindowTokens")
        if window is not None:
            output = min(DEFAULT_OUTPUT_TOKENS, window // 4)
            reading.given.setdefault("maxOutputTokens", output)
        reading.drop_unknown_endpoints()
        data_dir = reading.path(
            environ, "HOLDFAST_DATA_DIR", readers.absolute_path, default_data_dir
        )
        settings = cls(
            compaction=CompactionSettings(**reading.consistent(_COMPACTION)),
            stream=StreamSettings(**reading.consistent(_STREAM)),
            retry=RetrySettings(**reading.consistent(_RETRY)),
            data_dir=data_dir,
            store_path=reading.path(
                environ, "HOLDFAST_STORE", readers.sqlite_path, lambda: data_dir / STORE_FILE
            ),
            **reading.consistent(_GENERAL),
        )
        return settings, tuple(reading.problems)


def _fields(kind: type[attrs.AttrsInstance], prefix: str = "") -> Fields:
    """Return the settings that one class declares, by their names on the wire."""
    fields = attrs.fields(kind)
    return {f"{prefix}{f.metadata['wire']}": f for f in fields if "wire" in f.metadata}


_GENERAL: Final = _fields(Settings)
_COMPACTION: Final = _fields(CompactionSettings, "compaction.")
_STREAM: Final = _fields(StreamSettings, "stream.")
_RETRY: Final = _fields(RetrySettings, "retry.")
_DECLARED: Final[Fields] = {**_GENERAL, **_COMPACTION, **_STREAM, **_RETRY}
