"""The editor surface: the only package that knows pygls and lsprotocol.

Law: every request is answered exactly once, every progress that began ends exactly once, and the
event loop never waits for an editor to read. Handlers convert, call the supervisor and convert
back; a capability is looked up before a message that needs it is sent (P10).
"""

from holdfast.lsp.light import import_protocol_types

import_protocol_types()
