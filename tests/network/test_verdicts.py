"""From checks to causes: the deepest that explains the others, and none that nobody saw."""

from __future__ import annotations

import socket
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.journal.looks import Holder, Standing, StoreLook
from holdfast.network import line, machine, path
from holdfast.network.answers import headroom
from holdfast.network.certificates import read
from holdfast.network.path import Attempt
from holdfast.network.reports import HEALTHY, Check, Diagnosis, State, plain
from holdfast.network.subjects import Place, Subject, bypasses, route_of, shown
from holdfast.network.verdicts import DEPTH, OWN, ROUTE, advised, judge, words
from holdfast.network.words import bundle, markdown
from holdfast.session.causes import CAUSES, Cause
from holdfast.session.failures import FailureKind

CAUSE_WORDS = [*(cause.value for cause in Cause), *OWN, *(kind.value for kind in FailureKind)]
SEEN = [word for word in CAUSE_WORDS if word not in {HEALTHY, "unfinished", "unexplained"}]
CHECKS = st.lists(
    st.builds(
        Check,
        name=st.sampled_from([*DEPTH, ROUTE, "compare"]),
        state=st.sampled_from(State),
        says=st.sampled_from(["", "It was seen."]),
        cause=st.sampled_from(["", *SEEN]),
    ),
    unique_by=lambda check: check.name,
    max_size=14,
)


@given(CHECKS)
@settings(max_examples=300, deadline=None)
def test_a_verdict_is_total_and_names_only_what_a_check_has_seen(checks: list[Check]) -> None:
    verdict = judge(checks)
    seen = {check.cause for check in checks}
    assert verdict.cause in seen | {HEALTHY, "unexplained"}
    assert set(verdict.also) <= seen
    assert verdict.cause not in verdict.also
    if verdict.cause == HEALTHY:
        bad = [c for c in checks if c.state is State.BAD and c.name != "compare"]
        assert bad == [], "nothing is wrong only when nothing has failed"


@given(CHECKS)
@settings(max_examples=100, deadline=None)
def test_the_deepest_failure_explains_those_above_it(checks: list[Check]) -> None:
    bad = sorted(
        (c for c in checks if c.state is State.BAD and c.name in DEPTH),
        key=lambda c: DEPTH.index(c.name),
    )
    if bad and bad[0].cause and not any(c.name == ROUTE for c in checks):
        assert judge(checks).cause == bad[0].cause


def test_every_cause_has_words_and_an_unknown_one_has_none() -> None:
    for cause in CAUSE_WORDS:
        assert words(cause).says
        assert words(cause).advice
    assert words("nobody knows").says == ""
    assert words("refused").says == CAUSES[Cause.REFUSED].says, "there is one table"


def test_without_a_network_a_name_that_is_not_found_is_no_mystery() -> None:
    offline = Check(name=ROUTE, state=State.WARNING, says="", cause=Cause.OFFLINE)
    lost = Check(name=path.NAMES, state=State.BAD, says="", cause=Cause.NAME_SERVER_SILENT)
    assert judge([offline, lost]).cause == Cause.OFFLINE
    refused = Check(name="answer", state=State.BAD, says="", cause=Cause.KEY_REFUSED)
    assert judge([offline, refused]).cause == Cause.KEY_REFUSED


def test_a_full_disk_is_named_beside_a_network_that_fails() -> None:
    lost = Check(name=path.CONNECT, state=State.BAD, says="", cause=Cause.REFUSED)
    full = machine.room(1)
    assert full.cause == "diskFull"
    assert judge([lost, full]).also == ("diskFull",)
    assert judge([full]).cause == "diskFull"


def test_a_look_at_the_folder_of_sessions_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    assert machine.disk(folder / "to" / "come").state is not State.BAD
    assert list(folder.iterdir()) == []


# -- the line --------------------------------------------------------------------------------------


def _tries(*took: float | None) -> list[Attempt]:
    address = (socket.AF_INET, "192.0.2.1")
    return [Attempt(address, "silent" if ms is None else "connected", ms or 1500.0) for ms in took]


def test_lost_probes_are_counted_also_those_that_were_sent_again() -> None:
    assert line.judged(_tries(*[20.0] * 10)).state is State.GOOD
    once = line.judged(_tries(*[20.0] * 9, 1030.0))
    assert (once.state, once.cause, once.facts["lost"]) == (State.WARNING, "packetsLost", 1)
    often = line.judged(_tries(*[20.0] * 6, None, None, None, 1100.0))
    assert (often.state, often.facts["lost"]) == (State.BAD, 4)
    assert judge([often]).cause == "packetsLost"


def test_limits_that_are_used_up_are_named() -> None:
    def left(remaining: str) -> Check:
        prefix = "anthropic-ratelimit-requests"
        return headroom({f"{prefix}-remaining": remaining, f"{prefix}-limit": "50"})

    assert left("40").state is State.GOOD
    assert (left("2").state, left("2").cause) == (State.WARNING, "")
    assert left("0").cause == "rateLimited"
    assert headroom({"anthropic-ratelimit-odd": "1"}).state is State.SKIPPED


# -- the way, and what is said of it ---------------------------------------------------------------


def test_proxies_are_taken_as_requests_take_them() -> None:
    proxies = {"https": "proxy.example:3128", "no": "internal.example, 10.0.0.0/8, localhost"}
    route = route_of("https://api.anthropic.com", proxies)
    assert (str(route.hop), str(route.target)) == ("proxy.example:3128", "api.anthropic.com:443")
    for address in (
        "https://internal.example",
        "https://a.internal.example/x",
        "https://10.1.2.3",
        "https://localhost:8443",
        "http://api.anthropic.com",
    ):
        assert not route_of(address, proxies).proxied, address
    assert route_of("https://notinternal.example", proxies).proxied
    assert bypasses(Place("any.example", 1), "*")


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_address_shows_a_login(text: str) -> None:
    assert "secret" not in shown(f"https://me:secret@host.example/{text}?k=secret#secret") or (
        "secret" in text
    )
    shown(text)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_reading_a_certificate_never_raises(data: bytes) -> None:
    read(data)
    read(b"\x30\x82" + len(data).to_bytes(2) + data)


def test_nothing_shows_a_secret() -> None:
    subject = Subject(
        base_url="https://me:hidden-1@host.example",
        headers={"x-api-key": "hidden-2", "authorization": "Bearer hidden-3"},
        proxies={"https": "http://me:hidden-4@proxy.example"},
    )
    assert {"hidden-1", "hidden-2", "hidden-3", "hidden-4"} <= set(subject.secrets)
    assert "hidden-2" not in repr(subject)
    assert "hidden-3" not in repr(subject)
    assert "hidden-4" not in repr(route_of("https://host.example", subject.proxies))
    says = "They said hidden-2 and hidden-3."
    check = Check(name="answer", state=State.BAD, says=says, cause="refused")
    found = Diagnosis(
        verdict="refused", says=says, advice="", endpoint="e", checks=(advised(check),)
    )
    assert plain(found)["checks"][0]["advice"] == CAUSES[Cause.REFUSED].advice
    assert "Connection" not in markdown(found)
    text = bundle(found, subject.secrets)
    assert "hidden" not in text
    assert text.count("[redacted]") >= 2


# -- the store and the disk ------------------------------------------------------------------------


def _holder(standing: Standing, silent_s: float = 1.0) -> Holder:
    return Holder(4242, "laptop", 2, silent_s, standing)


def test_who_has_sessions_open_is_said() -> None:
    here, gone = _holder(Standing.HERE), _holder(Standing.GONE)
    seen = StoreLook(exists=True, sessions=5, size_bytes=2_000_000, holders=(here, gone))
    told = machine.store(seen)
    assert told.state is State.GOOD
    assert "2 sessions open in this server" in told.says
    assert "gone (process 4242)" in told.says
    silent = machine.store(
        StoreLook(exists=True, sessions=5, holders=(_holder(Standing.ALIVE, 90.0),))
    )
    assert "silent for 90 s" in silent.says


def test_a_store_that_is_locked_missing_or_broken_has_its_verdict() -> None:
    locked = machine.store(StoreLook(exists=True, sessions=1, locked_s=1.5))
    assert judge([locked]).cause == "storeBusy"
    broken = machine.store(StoreLook(exists=True, problem="file is not a database"))
    assert judge([broken]).cause == "storeFailed"
    assert judge([machine.store(StoreLook(exists=False))]).cause == HEALTHY


def test_a_slow_disk_and_one_of_another_machine_are_worth_a_word() -> None:
    assert machine.room(10**10, 3_000).cause == "diskSlow"
    assert machine.room(10**10, 1, "nfs4").cause == "dataOnNetworkDisk"
    assert machine.room(10**10, 1, "ext4").state is State.GOOD


def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\nserver:/x /home nfs4 rw 0 0\n/dev/b /home/me\\040too xfs rw 0 0\n"
    )
    assert machine.file_system(Path("/home/you"), mounts) == "nfs4"
    assert machine.file_system(Path("/home/me too/a"), mounts) == "xfs"
    assert machine.file_system(Path("/srv"), mounts) == "ext4"
    assert machine.file_system(Path("/srv"), tmp_path / "none") == ""
