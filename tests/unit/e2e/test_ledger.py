"""The ledger: what counts as lost, what is joined to it, and the cause that is told for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from scripts.cluster.watch import Change
from scripts.core.errors import ClusterError
from scripts.e2e.k6 import Request
from scripts.e2e.ledger import SLOW, UNEXPLAINED, cause, judge
from scripts.e2e.steps import demand_ended
from scripts.e2e.timeline import ENDED, GONE, KILLED, READY, RUNNING, STOPPING, Event, fewest_ready, timeline

SERVICE, MANAGER = "gati-outside", "route-manager"


def request(at: float, *, status: int = 200, seconds: float = 0.01, **more: Any) -> Request:
    given = {"kind": "new", "target": "http://node/", "behind": "rm-1" if status == 200 else "", **more}
    return Request(at=at, seconds=seconds, status=status, **given)


def steady(begin: float, end: float, rate: int = 10) -> list[Request]:
    count = int((end - begin) * rate)
    return [request(begin + i / rate, kind="new" if i % 2 else "kept") for i in range(count)]


def pod(at: float, name: str, *, type_: str = "MODIFIED", **status: Any) -> Change:
    """A pod as the API server shows it: `ready`, `running`, `ended` (with `code`, `reason`), `restarts`, `stopping`."""
    state: dict[str, Any] = {"waiting": {}}
    if status.get("running"):
        state = {"running": {}}
    if status.get("ended"):
        state = {"terminated": {"exitCode": status.get("code", 0), "reason": status.get("reason", "Error")}}
    meta = {"name": name, "uid": name}
    if status.get("stopping"):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": str(bool(status.get("ready")))},
    ]
    containers = [{"state": state, "restartCount": status.get("restarts", 0)}]
    item = {"kind": "Pod", "metadata": meta, "status": {"conditions": conditions, "containerStatuses": containers}}
    return Change(at, type_, item)


def endpoints(at: float, service: str = SERVICE, **pods: str) -> Change:
    """The EndpointSlice of `service`: pods with "ready", "unready" or "terminating"."""
    entries = [
        {
            "addresses": [f"10.0.0.{number}"],
            "targetRef": {"name": name.replace("_", "-")},
            "conditions": {"ready": state == "ready", "serving": True, "terminating": state == "terminating"},
        }
        for number, (name, state) in enumerate(sorted(pods.items()))
    ]
    meta = {"name": f"{service}-x", "uid": service, "labels": {"kubernetes.io/service-name": service}}
    return Change(at, "MODIFIED", {"kind": "EndpointSlice", "metadata": meta, "endpoints": entries})


def happened(changes: Iterable[Change]) -> list[tuple[float, str, str]]:
    return [(event.at, event.pod, event.what) for event in timeline(changes)]


# -- what happened ---------------------------------------------------------------------------------


def test_the_life_of_a_pod_is_told_once_a_step() -> None:
    changes = [
        pod(1, "a", type_="ADDED"),
        pod(2, "a", running=True),
        pod(3, "a", running=True, ready=True),
        pod(4, "a", running=True, ready=True),  # nothing of interest changed
        pod(5, "a", running=True, ready=True, stopping=True),
        pod(6, "a", ended=True, stopping=True),
        pod(7, "a", ended=True, stopping=True, type_="DELETED"),
    ]
    assert happened(changes) == [
        (1, "a", "created"),
        (1, "a", "scheduled"),
        (2, "a", RUNNING),
        (3, "a", READY),
        (5, "a", STOPPING),
        (6, "a", "not ready"),
        (6, "a", ENDED),
        (7, "a", GONE),
    ]


def test_a_restart_of_a_container_is_its_end() -> None:
    changes = [pod(1, "a", type_="ADDED", running=True, ready=True), pod(2, "a", running=True, restarts=1)]
    assert (2, "a", f"{ENDED} (restart 1)") in happened(changes)


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ({"code": 137, "stopping": True}, KILLED),
        ({"code": 143, "stopping": True}, ENDED),
        ({"code": 137, "reason": "OOMKilled", "stopping": True}, f"{ENDED} (OOMKilled)"),
        ({"code": 137}, ENDED),  # nobody told it to stop: it crashed
    ],
)
def test_a_pod_that_does_not_end_when_it_is_told_to(end: dict[str, Any], what: str) -> None:
    changes = [pod(1, "a", type_="ADDED", running=True, ready=True), pod(2, "a", ended=True, **end)]
    assert (2, "a", what) in happened(changes)
    if what == KILLED:
        with pytest.raises(ClusterError, match="did not end when they were told to"):
            demand_ended(timeline(changes))
    else:
        demand_ended(timeline(changes))


def test_places_behind_a_service_come_turn_and_go() -> None:
    changes = [
        endpoints(1, a="unready"),
        endpoints(2, a="ready"),
        endpoints(3, a="terminating", b="ready"),
        endpoints(4, b="ready"),
    ]
    told = [(event.at, event.pod, event.what, event.service) for event in timeline(changes)]
    assert told == [
        (1, "a", "not ready", SERVICE),
        (2, "a", READY, SERVICE),
        (3, "b", READY, SERVICE),
        (3, "a", STOPPING, SERVICE),
        (4, "a", GONE, SERVICE),
    ]


def test_the_fewest_ready_pods_are_counted_from_a_time_on() -> None:
    events = timeline(
        [
            endpoints(1, a="ready"),
            endpoints(5, a="ready", b="ready", c="ready"),
            endpoints(7, a="terminating", b="ready", c="ready"),
            endpoints(9, b="ready", c="ready", d="ready"),
        ]
    )
    assert fewest_ready(events, SERVICE, since=6) == 2
    assert fewest_ready(events, SERVICE, since=0) == 0
    assert fewest_ready(events, SERVICE, since=99) == 3


def test_a_pod_that_goes_as_another_comes_is_not_missing() -> None:
    """The EndpointSlice may say both in one change, and whose turn is first there is chance."""
    events = timeline([endpoints(1, a="ready", b="ready"), endpoints(5, a="terminating", b="ready", c="ready")])
    assert fewest_ready(events, SERVICE, since=2) == 2


# -- the verdict -----------------------------------------------------------------------------------


def test_enough_requests_without_a_loss_pass() -> None:
    ledger = judge(steady(0, 300), [], SERVICE)
    assert (ledger.passed, ledger.requests, ledger.failed) == (True, 3000, 0)
    assert ledger.kinds == {"kept": 1500, "new": 1500}
    assert ledger.objections == ()


def test_one_lost_request_of_many_fails() -> None:
    ledger = judge([*steady(0, 300), request(100, status=503)], [], SERVICE)
    assert not ledger.passed
    assert ledger.objections == ("1 of 3001 requests were lost",)


def test_too_few_requests_prove_nothing() -> None:
    ledger = judge(steady(0, 299), [], SERVICE)
    assert not ledger.passed
    assert "2990 requests came to an end, which is fewer than 3000" in ledger.objections[0]


def test_no_request_at_all_fails() -> None:
    assert not judge([], [], SERVICE).passed


def test_a_kind_of_connection_that_was_not_used_fails() -> None:
    ledger = judge([request(i / 10) for i in range(3000)], [], SERVICE)
    assert ledger.objections == ("no request used a kept connection",)


@pytest.mark.parametrize(
    "lost",
    [
        request(5, status=0, error="connection refused"),
        request(5, status=503),
        request(5, status=404),
        request(5, behind=""),
        request(5, error="unexpected EOF"),
    ],
    ids=["refused", "status", "not found", "nobody behind it", "cut off"],
)
def test_what_counts_as_lost(lost: Request) -> None:
    ledger = judge([*steady(0, 300), lost], [], SERVICE)
    assert ledger.failed == 1


def test_a_slow_request_is_told_and_not_lost() -> None:
    ledger = judge([*steady(0, 300), request(5, seconds=SLOW)], [pod(4, "a", stopping=True)], SERVICE)
    assert ledger.passed
    assert (ledger.slow, len(ledger.incidents)) == (1, 1)
    assert ledger.during.longest == SLOW


def test_requests_lost_at_different_times_are_different_incidents() -> None:
    lost = [request(at, status=0, error="refused") for at in (10, 10.2, 10.9, 50)]
    ledger = judge([*steady(0, 300), *lost], [pod(9, "a"), pod(49, "b")], SERVICE)
    assert [incident.failed for incident in ledger.incidents] == [3, 1]
    assert [{event.pod for event in incident.events} for incident in ledger.incidents] == [{"a"}, {"b"}]
    assert ledger.incidents[0].errors == {"refused": 3}


def test_the_report_is_plain_data() -> None:
    import json

    ledger = judge([*steady(0, 300), request(5, status=503)], [pod(4, "a")], SERVICE)
    report = json.loads(json.dumps(ledger.report()))
    assert (report["passed"], report["failed"], report["incidents"][0]["failed"]) == (False, 1, 1)


# -- the cause -------------------------------------------------------------------------------------

REFUSED = request(20, status=0, error="connection refused")
GIVEN_UP = request(20, status=0, error="i/o timeout", seconds=5)


def why(changes: Iterable[Change], lost: Request = REFUSED) -> str:
    return cause(lost, timeline(changes), SERVICE)


def test_a_time_without_any_ready_pod() -> None:
    changes = [
        endpoints(1, a="ready"),
        pod(18, "a", running=True, ready=True, stopping=True),
        endpoints(18.1, a="terminating"),
        endpoints(25, b="ready"),
    ]
    told = why(changes)
    assert "no pod was ready behind gati-outside from 00:00:18.1 to 00:00:25.0" in told
    assert "the last one, a, was told to stop" in told


@pytest.mark.parametrize("stops", [False, True])
def test_a_pod_that_goes_on_and_is_selected_no_more_is_told_so(stops: bool) -> None:
    up: dict[str, Any] = {"running": True, "ready": True}
    changes = [endpoints(1, a="ready"), pod(1, "a", **up), endpoints(18), endpoints(25, b="ready")]
    changes += [pod(18.2, "a", **up, stopping=True)] if stops else []
    assert ("though the pod went on: the Service selects it no more" in why(changes)) != stops


def test_pods_that_do_not_know_the_port_by_its_new_name_are_not_led_to() -> None:
    """They are listed as ready all the same, in an EndpointSlice that has no port."""
    known, unknown = endpoints(19, a="ready"), endpoints(19.1, a="ready")
    unknown.object["ports"] = None
    unknown.object["metadata"]["uid"] = "another"
    told = why([endpoints(1, a="ready"), unknown, endpoints(19.2), endpoints(30, b="ready")])
    assert "no pod was ready behind gati-outside from 00:00:19.1 to 00:00:30.0" in told
    assert "the last one, a, was led to by no port" in told
    known.object["ports"] = [{"name": "http", "port": 8080}]
    assert why([endpoints(1, a="ready"), known]) == UNEXPLAINED


def test_of_several_ports_the_one_that_is_asked_counts() -> None:
    """The Service itself goes on leading to the pods before, by its other port; the twin has the one alone."""
    real, twin = endpoints(1, a="ready"), endpoints(1, "asked-outside", a="ready")
    lost = endpoints(19, "asked-outside", a="ready")
    lost.object["ports"] = None
    found = judge(
        [request(20.0, status=0, error="refused")], [real, twin, lost], SERVICE, twin="asked-outside", enough=1
    )
    (told,) = found.incidents[0].causes
    assert told.endswith(
        "no pod was ready behind gati-outside from 00:00:19.0 on: the last one, a, was led to by no port"
    )
    assert {event.service for event in found.events} == {SERVICE}


def test_a_time_without_any_ready_pod_that_has_not_ended() -> None:
    assert "no pod was ready behind gati-outside from 00:00:19.0 on" in why([endpoints(1, a="ready"), endpoints(19)])


def test_a_gap_that_was_over_long_before_is_not_the_cause() -> None:
    changes = [endpoints(1, a="ready"), endpoints(2), endpoints(3, a="ready")]
    assert "no pod or endpoint changed" in why(changes)


def test_a_node_that_still_knew_a_pod_of_long_before() -> None:
    changes = [
        endpoints(1, a="ready", b="ready"),
        pod(2, "a", type_="ADDED", running=True, ready=True),
        pod(3, "a", ended=True, stopping=True),
        endpoints(3.1, b="ready"),
    ]
    astray = request(40, status=0, error="dial: unknown errno 113 error with msg `no route to host`")
    assert why(changes, astray).endswith("a ended at 00:00:03.0")
    foreign = [endpoints(1, b="ready"), pod(2, "c", type_="ADDED", running=True), pod(3, "c", ended=True)]
    assert "no pod or endpoint changed" in why(foreign, astray)  # it was never behind the Service
    for error in ("request timeout", "GoError: context deadline exceeded"):  # of HTTP, and of gRPC
        late = {kind: why(changes, request(40, status=0, error=error, kind=kind)) for kind in ("new", "kept")}
        assert late["new"].endswith("a ended at 00:00:03.0")
        assert "no pod or endpoint changed" in late["kept"]  # it had its connection
    assert "no pod or endpoint changed" in why(changes)  # refused: somebody answered there
    assert "no pod or endpoint changed" in why(changes, request(140, status=0, error=astray.error))


def test_a_pod_that_ended_while_it_was_given_requests() -> None:
    changes = [
        endpoints(1, a="ready", b="ready"),
        pod(2, "a", type_="ADDED", running=True, ready=True),
        pod(19.0, "a", running=True, ready=True, stopping=True),
        pod(19.8, "a", ended=True, stopping=True),
        endpoints(20.4, b="ready"),
    ]
    assert why(changes) == "pod a ended at 00:00:19.8, told to stop 0.8 s before"
    changes[3] = pod(19.8, "a", ended=True, stopping=True, code=137)
    assert why(changes) == "pod a had to be killed at 00:00:19.8, told to stop 0.8 s before"
    changes.insert(4, pod(20.0, "a", type_="DELETED", stopping=True))
    assert why(changes) == "pod a had to be killed at 00:00:19.8, told to stop 0.8 s before"
    about = {"kind": "Event", "reason": "FailedPreStopHook", "involvedObject": {"name": "a"}}
    changes.append(Change(19.1, "ADDED", about))
    assert why(changes).endswith("told to stop 0.8 s before, and its preStop hook failed")


@pytest.mark.parametrize(
    ("stopping", "ended", "told"),
    [(19, 24, "a ended at 00:00:24.0"), (19, 26, "b was given"), (22, 24, "b was given")],
    ids=["told late", "much later", "told to stop later"],
)
def test_a_node_may_tell_late_that_a_pod_has_ended(stopping: float, ended: float, told: str) -> None:
    changes = [
        endpoints(1, a="ready"),
        pod(2, "a", type_="ADDED", running=True, ready=True),
        pod(18, "b", type_="ADDED", running=True, ready=True),
        endpoints(18, a="ready", b="ready"),
        pod(stopping, "a", running=True, ready=True, stopping=True),
        pod(ended, "a", ended=True, stopping=True),
    ]
    assert why(changes).startswith(f"pod {told}")


def test_a_pod_that_crashed() -> None:
    changes = [
        endpoints(1, a="ready", b="ready"),
        pod(2, "a", type_="ADDED", running=True, ready=True),
        pod(19.5, "a", running=True, restarts=1),
    ]
    assert why(changes) == "pod a ended (restart 1) at 00:00:19.5 without being told to stop"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"phase": "Failed", "reason": "Evicted"}, "ended (Evicted)"),
        ({"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}, "ended (restart 1, OOMKilled)"),
        ({"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}, "ended (restart 1)"),
    ],
    ids=["a node short of something", "too much memory", "a crash"],
)
def test_who_ended_a_pod_that_nobody_told_to_stop(status: dict[str, Any], told: str) -> None:
    evicted = "phase" in status
    last = pod(19.5, "a", ended=evicted, running=not evicted, restarts=0 if evicted else 1)
    place = last.object["status"] if evicted else last.object["status"]["containerStatuses"][0]
    place.update(status)
    changes = [endpoints(1, a="ready", b="ready"), pod(2, "a", type_="ADDED", running=True, ready=True), last]
    assert why(changes) == f"pod a {told} at 00:00:19.5 without being told to stop"


def test_a_pod_that_was_given_requests_too_early() -> None:
    changes = [
        endpoints(1, a="ready"),
        pod(18, "b", type_="ADDED"),
        pod(19, "b", running=True, ready=True),
        endpoints(19.5, a="ready", b="ready"),
    ]
    told = "pod b was given requests from 00:00:19.5 on, 0.5 s after its container started"
    assert why(changes) == told
    changes.append(pod(19.7, "a", running=True, ready=True, stopping=True))  # its end is told late
    assert why(changes) == f"{told}, and pod a was told to stop at 00:00:19.7"
    changes[-1] = pod(19.7, "b", running=True, ready=True, stopping=True)
    assert why(changes) == told


def test_an_ingress_without_route_manager() -> None:
    changes = [
        endpoints(1, a="ready"),
        endpoints(1, MANAGER, rm_1="ready"),
        endpoints(1, "gati-ingress", a="ready"),
        endpoints(19, MANAGER),
    ]
    gap = "pod a had nobody behind it: no pod was ready behind route-manager from 00:00:19.0 "
    assert why(changes, request(20, status=503, pod="a")).startswith(f"{gap}on")
    changes += [endpoints(21, MANAGER, rm_2="ready"), pod(23, "a", running=True, ready=True, stopping=True)]
    waited = request(20, seconds=2.9, pod="a", behind="rm_2")  # which is more than it may take
    assert why(changes, waited).startswith(f"{gap}to 00:00:21.0")
    assert not why(changes, request(26, seconds=2.9, pod="a", behind="rm_2")).startswith("pod a had nobody behind it")


def test_an_ingress_that_was_asked_before_it_knew_route_manager() -> None:
    changes = [
        endpoints(1, a="ready"),
        endpoints(1, MANAGER, rm_1="ready"),
        pod(17, "b", type_="ADDED"),
        pod(18, "b", running=True, ready=True),
        endpoints(18.3, a="ready", b="ready"),
    ]
    told = why(changes, request(20, status=504, pod="b"))
    assert (
        told
        == "pod b had nobody behind it: pod b was given requests from 00:00:18.3 on, 0.3 s after its container started"
    )


def test_what_was_there_at_the_beginning_is_no_cause() -> None:
    changes = [endpoints(18, a="ready"), pod(18, "a", type_="ADDED", running=True, ready=True)]
    lost = [request(20, status=0, error="refused")]
    assert "was given requests" in next(iter(judge(lost, changes, SERVICE).incidents[0].causes))
    incident = judge(lost, changes, SERVICE, since=19).incidents[0]
    assert "no pod or endpoint changed" in next(iter(incident.causes))
    assert incident.events == ()


def test_nothing_happened() -> None:
    assert "look at the node and the load itself" in why([endpoints(1, a="ready")])


def test_an_event_is_told_with_its_time() -> None:
    assert str(Event(3661.25, "a", READY, SERVICE)) == "01:01:01.2 pod a behind gati-outside: ready"


# -- noise -----------------------------------------------------------------------------------------


def control(begin: float = 0, end: float = 300, *bad: Request, without: tuple[float, float] = (0, 0)) -> list[Request]:
    """A control that was asked ten times a second, but for the time `without`, and what became `bad` of it."""
    kept = [one for one in steady(begin, end) if not without[0] < one.at < without[1]]
    return sorted([*kept, *bad], key=lambda one: one.at)


def judged(*lost: Request, seen: list[Request], **more: Any) -> Any:
    return judge([*steady(0, 300), *lost], [], SERVICE, control=seen, rate=10, **more)


def test_what_is_lost_while_the_control_held_is_lost() -> None:
    ledger = judged(REFUSED, seen=control())
    assert (ledger.passed, ledger.void, ledger.failed, ledger.windows) == (False, False, 1, ())


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (control(0, 300, request(21, status=0, error="i/o timeout")), "1 x http://node/ i/o timeout"),
        (control(0, 300, request(18, seconds=3)), "1 x http://node/ was slow"),
        (control(without=(17, 22)), "1 x nothing was sent"),
        ([], "nothing was sent"),
    ],
    ids=["lost", "slow", "the generator stood still", "the control was gone"],
)
def test_what_is_lost_while_the_control_lost_proves_nothing(seen: list[Request], why: str) -> None:
    ledger = judged(REFUSED, seen=seen)
    assert (ledger.passed, ledger.void, ledger.failed, ledger.voided) == (False, True, 0, 1)
    assert why in ledger.windows[0].why


def test_a_control_that_lost_voids_even_what_was_not_lost() -> None:
    ledger = judged(seen=control(0, 300, request(50, status=0, error="refused")))
    assert (ledger.passed, ledger.void, ledger.voided) == (False, True, 0)


def test_a_control_that_was_slow_for_a_moment_voids_nothing_that_was_not_lost() -> None:
    busy = control(0, 300, request(20, seconds=1.5))
    assert judged(seen=busy).passed
    assert judged(GIVEN_UP, seen=busy).void
    busy = control(0, 300, request(20, seconds=2.5))
    assert judged(seen=busy).passed, "it answered others meanwhile"
    assert judged(REFUSED, seen=busy).void


@pytest.mark.parametrize(
    "seen",
    [
        control(0, 300, request(20.1, seconds=2.5), without=(20, 22.5)),
        control(0, 300, request(20, seconds=2.5, target="http://other/"), request(30, target="http://other/")),
        control(0, 300, without=(17, 20)),
        control(0, 200),
        [],
    ],
    ids=["nobody was answered", "at one of its places", "nothing was sent", "it ended before", "it was gone"],
)
def test_a_control_that_stood_still_voids_even_what_was_not_lost(seen: list[Request]) -> None:
    assert judged(seen=seen).void


def test_a_loss_outside_of_the_void_window_stays_a_loss() -> None:
    lost = request(100, status=503)
    ledger = judged(REFUSED, lost, seen=control(0, 300, request(20, status=0, error="refused")))
    assert (ledger.void, ledger.failed, ledger.voided) == (False, 1, 1)
    assert [incident.begin for incident in ledger.incidents] == [100]


def test_a_window_is_wide_enough_for_what_follows_of_it() -> None:
    seen = control(0, 300, request(20, seconds=2))
    assert not judged(request(26.5, status=503), seen=seen).failed
    assert judged(request(27.5, status=503), seen=seen).failed


@pytest.mark.parametrize(
    ("away", "more", "void"),
    [
        (26.0, {}, True),
        (36.0, {}, True),
        (38.0, {}, False),
        (26.0, {"stopping": True}, False),
        (26.0, {"back": False}, False),
    ],
    ids=["unanswered probe", "told late", "long after it", "told to stop", "it stays away"],
)
def test_a_window_lasts_until_the_pods_that_it_took_away_are_ready_again(
    away: float, more: dict[str, Any], void: bool
) -> None:
    stopping, back = more.get("stopping", False), more.get("back", True)
    changes = [
        pod(1, "a", running=True, ready=True),
        *([pod(22, "a", running=True, ready=True, stopping=True)] if stopping else []),
        pod(away, "a", running=True, stopping=stopping),
        *([pod(45, "a", running=True, ready=True, restarts=1, stopping=stopping)] if back else []),
    ]
    lost, seen = request(40, status=503), control(0, 300, request(20, seconds=2))
    ledger = judge([*steady(0, 300), lost], changes, SERVICE, control=seen, rate=10)
    assert (ledger.void, ledger.failed) == (void, 0 if void else 1)


def test_what_a_busy_machine_costs_before_the_load_has_settled_is_left_out() -> None:
    busy = control(0, 300, *(request(one, seconds=0.6) for one in range(300)))
    assert judged(GIVEN_UP, seen=busy, begun=40).void
    ledger = judged(GIVEN_UP, seen=busy, settled=GIVEN_UP.end + 1, begun=40)
    assert (ledger.passed, ledger.failed, ledger.voided, ledger.incidents) == (True, 0, 1, ())
    for settled, told in ((0, False), (70, True)):  # nor is it a measure of what comes later
        slow = (*slowed(0.8, 0), *slowed(0.8))
        assert bool(judged(*slow, seen=control(), settled=settled, begun=90).objections) == told
    assert judged(REFUSED, seen=busy, settled=30, begun=40).failed == 1
    assert judged(GIVEN_UP, seen=control(), settled=30, begun=40).failed == 1
    assert judged(REFUSED, seen=control(0, 300, request(19, seconds=3)), settled=40, begun=43).passed


def test_without_a_control_every_loss_counts() -> None:
    ledger = judge([*steady(0, 300), REFUSED], [], SERVICE)
    assert (ledger.failed, ledger.control) == (1, None)


def slowed(seconds: float, begin: float = 100) -> list[Request]:
    return [request(begin + i, kind="new", seconds=seconds) for i in range(60)]


def test_a_rollout_that_slows_requests_is_told() -> None:
    quiet = control()
    assert judged(*slowed(0.8), seen=quiet, begun=90).objections[0].startswith("requests became slow: p99 800 ms")
    assert judged(*slowed(0.3), seen=quiet, begun=90).objections == ()
    assert judged(*slowed(0.3), seen=quiet, begun=90, latency=2).objections
    assert judged(*slowed(0.8), seen=quiet).objections == (), "without a before there is nothing to compare with"


@pytest.mark.parametrize(("seconds", "void"), [(0.22, True), (0.7, False)])
def test_a_median_that_a_busy_machine_may_have_made_is_measured_again(seconds: float, void: bool) -> None:
    busy = control(0, 300, *(request(20 + i, seconds=0.6) for i in range(60)))
    ledger = judged(*(request(100 + i / 50, kind="new", seconds=seconds) for i in range(4000)), seen=busy, begun=90)
    assert (ledger.void, bool(ledger.objections)) == (void, not void)
    assert ("the control: p99 600 ms, beside which a median 220 ms tells nothing" in "".join(ledger.lines())) == void


def test_a_slower_answer_is_told_on_a_machine_that_has_slow_ones_anyway() -> None:
    """Then p99 says nothing, before and during alike."""
    busy = [request(50 + i, kind="new", seconds=0.6) for i in range(10)]
    slower = [request(100 + i / 50, kind="new", seconds=0.3) for i in range(4000)]
    assert judged(*busy, seen=control(), begun=90).objections == ()
    (told,) = judged(*busy, *slower, seen=control(), begun=90).objections
    assert told.startswith("requests became slow: median 300 ms, which is more than 10 times the 20 ms")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.5, ["requests became slow: quickest tenth 580 ms"]), (0.004, [])],
    ids=["slow", "as before"],
)
def test_a_slower_answer_is_told_on_a_machine_that_makes_most_of_them_slow(seconds: float, told: list[str]) -> None:
    """Then the median says nothing either: before, the machine lent the chart as much as it takes now."""

    def busy(begin: float, quick: float) -> list[Request]:
        lent = [0.08, 0.9, quick, 1.4, 0.12, 0.7, 2.5 * quick, 0.3]
        return [request(begin + i / 50, kind="new", seconds=quick + lent[i % 8]) for i in range(4000)]

    load, seen = [*busy(0, 0.004), *busy(80, seconds)], control(0, 300, *busy(0, 0.004))
    ledger = judge(load, [], SERVICE, begun=80, control=seen, kinds=("new",))
    assert ([one.partition(",")[0] for one in ledger.objections], ledger.void) == (told, False)


@pytest.mark.parametrize(("machine", "told"), [(0.04, True), (0.0, False)])
def test_what_the_machine_added_before_gives_a_chart_no_leave_to_be_slow(machine: float, told: bool) -> None:
    seen = control(0, 300, *(request(i / 50, seconds=machine) for i in range(4000)))
    busy = [request(i / 50, kind="new", seconds=0.06) for i in range(4000)]
    slower = [request(100 + i / 50, kind="new", seconds=0.5) for i in range(4000)]
    assert bool(judged(*busy, *slower, seen=seen, begun=90).objections) == told
    assert judged(*busy, seen=seen, begun=90).objections == ()


@pytest.mark.parametrize(
    ("error", "void"),
    [
        ("dial: unknown errno 24 error with msg `too many open files`", True),
        ("cannot assign requested address", True),
        ('connection error: desc = "transport: Error while dialing: dial tcp: no buffer space available"', True),
        ("status Internal: open /tmp/x: too many open files", False),
        ("status Unavailable: connection error: Error while dialing: socket: too many open files", True),
        ("dial: connection refused", False),
    ],
    ids=["files", "ports", "buffers", "the server's own files", "of gRPC", "refused"],
)
def test_what_the_machine_of_the_load_lacks_is_no_loss_of_the_chart(error: str, void: bool) -> None:
    ledger = judged(request(20, status=0, error=error), seen=control())
    assert (ledger.void, ledger.failed, ledger.voided) == (void, 0 if void else 1, 1 if void else 0)
    assert any("the load: 1 x" in str(window) for window in ledger.windows) == void
    assert judge([*steady(0, 300), request(20, status=0, error=error)], [], SERVICE, rate=10).void == void


@pytest.mark.parametrize(("gap", "void"), [(1.5, False), (3, True)])
def test_a_load_that_was_not_sent_for_a_while_proves_nothing(gap: float, void: bool) -> None:
    """Whatever the control did then: in that time nobody asked the chart."""
    requests = [one for one in steady(0, 310) if not 10 < one.at < 10 + gap]
    ledger = judge(requests, [], SERVICE, rate=10, control=control(0, 310))
    assert (ledger.void, ledger.passed) == (void, not void)
    assert ("the load: 1 x nothing was sent" in "".join(ledger.lines())) == void


@pytest.mark.parametrize(("longest", "void"), [(0.01, True), (9.0, False)])
def test_what_had_no_answer_when_the_load_was_ended_proves_nothing(longest: float, void: bool) -> None:
    """As what is sent into nowhere in the last seconds, unless answers take as long anyway."""
    slow = request(50, kind="new", seconds=longest)
    cut = [request(290 + one, status=0, error="context canceled", seconds=9 - one) for one in range(9)]
    ledger = judge([*steady(0, 300), slow], [], SERVICE, rate=10, cut=cut)
    assert (ledger.void, ledger.failed) == (void, 0)
    assert ("the load: 7 x no answer when it was ended" in "".join(ledger.lines())) == void


def test_what_slows_the_control_too_is_no_fault() -> None:
    assert judged(*slowed(0.8), seen=control(0, 300, *slowed(0.8)), begun=90).objections == ()


def test_the_generators_own_delay_is_told() -> None:
    requests = [one for one in steady(0, 300) if not 10 < one.at < 10.6]
    assert judge(requests, [], SERVICE, rate=10).stall == pytest.approx(0.5, abs=0.11)


def test_a_control_that_was_strained_excuses_a_loss_and_nothing_else() -> None:
    seen = control(0, 300, request(20.5, seconds=0.4))
    ledger = judged(GIVEN_UP, seen=seen)
    assert (ledger.void, ledger.failed, ledger.voided) == (True, 0, 1)
    assert judged(REFUSED, seen=seen).failed == 1, "what is refused at once did not wait for the machine"
    assert judged(REFUSED, GIVEN_UP, seen=seen).failed == 2, "and what is lost beside it is no different"
    assert judged(seen=seen).passed, "nothing was lost though the machine was short"
    assert judged(request(100, status=503), seen=seen).failed == 1
