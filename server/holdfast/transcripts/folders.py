"""One folder, however it is spelled.

Law: pure. Two spellings of one folder have the same key; a key is for comparing, never for
opening: what is shown and opened is the spelling that was found (D16). The name that Claude Code
gives a project's own folder is never decoded: it cannot be (D15).
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

_FOREIGN: Final = re.compile(r"\\\\|//|/?[A-Za-z]:")
"""How paths begin in which a backslash separates; in a POSIX path it is a part of a name."""
_LONG: Final = re.compile(r"//[?.]/")
_WSL: Final = re.compile(
    r"//(?:wsl\$|wsl\.localhost)/[^/]+(?P<path>/.*)?$", re.IGNORECASE | re.DOTALL
)
_DRIVE: Final = re.compile(
    r"(?:/?(?P<letter>[A-Za-z]):|/(?:mnt|cygdrive)/(?P<mounted>[A-Za-z])(?=/|$))(?P<rest>.*)$",
    re.DOTALL,
)


def key(spelling: str) -> str:
    r"""Return what all spellings of one folder share: `C:\a`, `c:/a`, `/mnt/c/a`, `file:///c%3A/a`.

    What lies on a Windows drive or a share is compared without case, as Windows does. A folder of
    a WSL distribution is compared by its path inside of it.
    """
    path = _of_uri(spelling) if spelling.startswith("file://") else spelling
    path = unicodedata.normalize("NFC", path)
    if _FOREIGN.match(path):
        path = path.replace("\\", "/")
    if long := _LONG.match(path):
        path = path[long.end() :]
        path = f"//{path[4:]}" if path[:4].lower() == "unc/" else path
    if inside := _WSL.match(path):
        path = inside.group("path") or "/"
    if drive := _DRIVE.match(path):
        letter = drive.group("letter") or drive.group("mounted")
        return f"{letter.lower()}:{_caseless('/' + drive.group('rest'))}"
    if path.startswith("//"):
        return "/" + _caseless(path[1:])
    return _plain(path)


def name(spelling: str) -> str:
    """Return the last part of a folder's path, in the form of its key."""
    return posixpath.basename(key(spelling))


def _caseless(path: str) -> str:
    return unicodedata.normalize("NFC", _plain(path).casefold())


def _plain(path: str) -> str:
    """Return a path without doubled slashes, dots and a slash at its end."""
    plain = posixpath.normpath(path)
    return "/" + plain.lstrip("/") if plain.startswith("/") else plain


def _of_uri(uri: str) -> str:
    parts = urlsplit(uri)
    path = unquote(parts.path)
    return f"//{parts.netloc}{path}" if parts.netloc not in ("", "localhost") else path
