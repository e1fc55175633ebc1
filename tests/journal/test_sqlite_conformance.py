"""The SQLite store keeps the promises of the port."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from holdfast.journal.sqlite import SqliteStore
from journal.conformance import JournalMachine, OpenStore, StoreConformance


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: SqliteStore.open(tmp_path / "data" / "holdfast.db")


class SqliteMachine(JournalMachine):
    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        super().__init__()

    async def open(self) -> SqliteStore:
        return await SqliteStore.open(Path(self.directory.name) / "holdfast.db")

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestSqliteMachine = SqliteMachine.TestCase
TestSqliteMachine.settings = settings(max_examples=15, stateful_step_count=10, deadline=None)
