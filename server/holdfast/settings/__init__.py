"""What a person may set: read once, checked once, frozen, with the units in the names.

Reading is total: a wrong setting is named in a `Problem`, its default is used, nothing stops.
"""

from holdfast.settings.declarations import (
    CompactionSettings,
    RetrySettings,
    Settings,
    StreamSettings,
    default_data_dir,
)
from holdfast.settings.endpoints import DEFAULT_ENDPOINT, EndpointSetting, Kind
from holdfast.settings.readers import (
    Answer,
    Continue,
    Method,
    PermissionRule,
    Price,
    WrongValue,
)
from holdfast.settings.sources import Problem

__all__ = [
    "DEFAULT_ENDPOINT",
    "Answer",
    "CompactionSettings",
    "Continue",
    "EndpointSetting",
    "Kind",
    "Method",
    "PermissionRule",
    "Price",
    "Problem",
    "RetrySettings",
    "Settings",
    "StreamSettings",
    "WrongValue",
    "default_data_dir",
]
