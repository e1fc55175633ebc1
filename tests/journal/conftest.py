"""Shared by the journal's tests: failures in the suite of the port are explained like in tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("journal.conformance")
