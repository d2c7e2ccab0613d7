"""The status page's sections: each reads what was counted and returns its contents."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..settings import Settings, shown
from .html import Content, Html, lines, mark, sentence, table, tag
from .samples import Samples
from .status_units import DAY, duration, milliseconds, moment, number, share, size_of

WARNING_DAYS = 14
"""Days before a certificate's end from which on it is marked."""
_FAILED = frozenset({"5xx", "unreachable", "proxy", "timeout", "broken", "malformed", "unanswered"})
_SERVICE = "callrequest.v1.CallRequestService"


class Facts(NamedTuple):
    """What the page is about. now: seconds since 1970; counted: all; day, recent: during the last day, ten minutes.

    quirks: the vendor's, by number, each as a sentence.
    """

    settings: Settings
    now: float
    counted: Samples
    day: Samples
    recent: Samples
    quirks: Mapping[str, str]


def vendor(facts: Facts) -> Html:
    """Whether it can be reached, how fast it is, and what keeps reads from it."""
    url = facts.settings.vendor_url
    where = tag("p", url) if url else tag("p", mark("warn", "no vendor"), " the sandbox plays it: results are made up")
    return Html(where + _reach(facts) + _latency(facts))


def _reach(facts: Facts) -> Html:
    def at(name: str, process: str) -> float:
        labels = {"process": process} if process else {}
        return facts.counted.total(f"vendor_{name}", **labels)

    rows: list[tuple[Content, ...]] = []
    for process in facts.counted.by("process", "vendor_throttled"):
        up, down = (at(f"{each}_since_timestamp_seconds", process) for each in ("reachable", "unreachable"))
        issued, expires = (at(f"token_{each}_timestamp_seconds", process) for each in ("issued", "expiry"))
        held = at("retry_after_seconds", process)
        reach = mark("good", f"for {duration(facts.now - up)}", title=moment(up)) if up else Html("not tried yet")
        if down:
            reach = mark("bad", f"not for {duration(facts.now - down)}", title=moment(down))
        token: Html = mark("warn", "none") if up or down else Html("none")
        if expires > facts.now:
            token = lines(f"{duration(facts.now - issued)} old", f"{duration(expires - facts.now)} left")
        reads = [mark("bad", "throttled")] if at("throttled", process) else []
        if held:
            reads.append(mark("warn", f"Retry-After: {duration(held)} left"))
        rows.append((process or "this process", reach, lines(*reads) if reads else "sent", token))
    return table(("", "reachable", "reads", "token"), rows, "The workers have not begun to serve.")


def _latency(facts: Facts) -> Html:
    name = "vendor_request_seconds"
    rows: list[tuple[Content, ...]] = []
    for operation, sent in facts.recent.by("operation", f"{name}_count").items():
        if sent:
            outcomes = facts.recent.by("outcome", f"{name}_count", operation=operation)
            failed = sum(count for outcome, count in outcomes.items() if outcome in _FAILED)
            half, most = (facts.recent.quantile(part, name, operation=operation) for part in (0.5, 0.95))
            rows.append((operation, number(sent), number(failed), milliseconds(half), milliseconds(most)))
    return table(("10 minutes", "sent", "failed", "50 % within", "95 %"), rows, "No request in 10 minutes.")


def quirks(facts: Facts) -> Html:
    """Where the vendor's replies differed from its API."""
    seen = {each: count for each, count in facts.day.by("quirk", "vendor_quirks_total").items() if count}
    return table(
        ("", "the vendor", "replies"),
        [(each, sentence(facts.quirks.get(each, "")), number(count)) for each, count in seen.items()],
        "No reply differed from the vendor's API.",
    )


def unknown_words(facts: Facts) -> Html:
    """The fields for which the vendor sent what the tables do not have; not the words, which may be personal."""
    seen = {each: count for each, count in facts.day.by("field", "vendor_unrecognized_values_total").items() if count}
    rows: list[tuple[Content, ...]] = [(tag("code", each), number(count)) for each, count in seen.items()]
    more = tag("p", "The words stand in the answers, in unrecognized_values.", class_="quiet")
    return Html(table(("our field", "values"), rows, "Every value was read.") + (more if rows else ""))


def calls(facts: Facts) -> Html:
    """The calls of the service."""
    name, rows = "grpc_server_handled_total", list[tuple[Content, ...]]()
    for method in facts.counted.by("grpc_method", name, grpc_service=_SERVICE):
        codes = facts.day.by("grpc_code", name, grpc_service=_SERVICE, grpc_method=method)
        ended = sum(codes.values())
        others = ", ".join(f"{code} {number(count)}" for code, count in _most(codes) if code != "OK")
        named = lines(method, tag("small", others)) if others else method
        rows.append((named, number(ended), share(codes.get("OK", 0), ended)))
    bounds = {"read": facts.settings.max_reads, "cancel": facts.settings.max_cancels}
    flying = [
        f"{number(count)} {kind}s of {number(bounds.get(kind, 0))} a process"
        for kind, count in facts.counted.by("kind", "calls_in_flight").items()
    ]
    in_flight = tag("p", "In flight: " + "; ".join(flying)) if flying else ""
    return Html(in_flight + table(("", "ended", "OK"), rows))


def cancels(facts: Facts) -> Html:
    """What settled cancels."""
    settled = _most(facts.day.by("settled_by", "cancellations_total"))
    rows: list[tuple[Content, ...]] = [
        (mark("bad", "nothing: in doubt") if by == "nothing" else by, number(count)) for by, count in settled
    ]
    return table(("settled by", "cancels"), rows, "No cancel.")


def callers(facts: Facts) -> Html:
    """Who called."""
    name, rows = "grpc_server_calls_by_caller_total", list[tuple[Content, ...]]()
    for caller, count in _most(facts.day.by("caller", name)):
        good = facts.day.total(name, caller=caller, grpc_code="OK")
        limited = facts.day.total("caller_rate_limited_total", caller=caller)
        name_of = tag("span", caller, class_="name")  # up to 64 characters, which would push the figures out of sight
        rows.append((name_of, number(count), share(good, count), mark("warn", number(limited)) if limited else "0"))
    who = "" if facts.settings.callers else tag("p", "No callers' file: whoever can connect.", class_="quiet")
    return Html(who + table(("", "calls", "OK", "above its limit"), rows, "Nobody called."))


def cache(facts: Facts) -> Html:
    """What is cached, and how many reads it answered."""
    counted, bound = facts.counted, facts.settings.cache_bytes
    size, entries = counted.total("result_cache_bytes"), counted.total("result_cache_entries")
    sources = facts.day.by("source", "result_reads_total")
    answered = sum(count for source, count in sources.items() if source != "refresh")
    held = tag("p", f"{number(entries)} results, {size_of(size)} of {size_of(bound)} a process")
    rows: list[tuple[Content, ...]] = [
        (source, number(count), share(count, answered) if source != "refresh" else "beside them")
        for source, count in _most(sources)
    ]
    return Html(held + table(("answers from", "reads", "share"), rows, "No read."))


def watches(facts: Facts) -> Html:
    """The watches."""
    now = f"{number(facts.counted.total('watchers'))} of {number(facts.settings.max_watches)} a process"
    rows: list[tuple[Content, ...]] = [
        (cause, number(count)) for cause, count in _most(facts.day.by("cause", "watches_ended_total"))
    ]
    return Html(tag("p", "Served now: " + now) + table(("ended by", "watches"), rows, "None ended."))


def state(facts: Facts) -> Html:
    """Whether results are shared."""
    if facts.counted.total("state_up"):
        return tag("p", mark("good", "up"), " results are shared with other processes")
    if facts.settings.state_url is None or facts.settings.state_url.get_secret_value() == "memory://":
        return tag("p", "Not set: each process reads by itself.", class_="quiet")
    return tag("p", mark("bad", "down"), " each process reads by itself meanwhile")


def files(facts: Facts) -> Html:
    """Certificates and their ends, and the files that were read again."""
    rows: list[tuple[Content, ...]] = []
    for names, ends in facts.counted.by("settings", "certificate_expiry_timestamp_seconds").items():
        days = (ends - facts.now) / DAY
        left = "no date can be read" if days == float("inf") else f"{days:.0f} days"
        kind = "bad" if days < 1 else "warn" if days < WARNING_DAYS else "good"
        rows.append(
            (
                lines(*(tag("code", each) for each in names.split(", "))),
                moment(ends),
                mark(kind, left if days > 0 else "ended"),
            )
        )
    ends_table = table(("certificate", "ends", "left"), rows, "No certificate: plaintext.")
    rows = []
    for names, good in facts.counted.by("settings", "file_reload_success").items():
        read_at = facts.counted.total("file_reload_success_timestamp_seconds", settings=names)
        again = facts.counted.total("file_reloads_total", settings=names, outcome="loaded")
        state_of = mark("good", "good") if good else mark("bad", "broken: older contents hold")
        rows.append(
            (lines(*(tag("code", each) for each in names.split(", "))), state_of, moment(read_at), number(again))
        )
    return Html(ends_table + table(("files of", "", "read last", "again"), rows, "No file is read again."))


def processes(facts: Facts) -> Html:
    """What each process uses, and how many workers there are."""

    def of(process: str) -> Callable[[str], float]:
        labels = {"process": process} if process else {}
        return lambda name: facts.counted.total(f"process_{name}", **labels)

    rows: list[tuple[Content, ...]] = []
    for process in facts.counted.by("process", "process_start_time_seconds"):
        value = of(process)
        descriptors = f"{number(value('open_fds'))} of {number(value('max_fds'))}"
        memory = size_of(value("resident_memory_bytes"))
        since, cpu = value("start_time_seconds"), value("cpu_seconds_total")
        rows.append((process or "this process", duration(facts.now - since), duration(cpu), memory, descriptors))
    return Html(_workers(facts) + table(("", "for", "CPU", "memory", "descriptors"), rows))


def _workers(facts: Facts) -> Html:
    if facts.settings.workers == 1:
        return Html()
    serving, ended = (facts.counted.total(name) for name in ("workers_serving", "workers_ended_total"))
    kind = "good" if serving == facts.settings.workers else "bad"
    replaced = f", {number(ended)} ended and were replaced" if ended else ""
    return tag("p", mark(kind, f"{number(serving)} of {facts.settings.workers} workers serve"), replaced)


def webhook(facts: Facts) -> Html:
    """The vendor's pushes."""
    if facts.settings.webhook_listen is None:
        return tag("p", "Off.", class_="quiet")
    rows: list[tuple[Content, ...]] = [
        (outcome, number(count)) for outcome, count in _most(facts.day.by("outcome", "webhook_pushes_total"))
    ]
    return table(("became", "pushes"), rows, "No push.")


def settings(facts: Facts) -> Html:
    """All settings; a secret is only said to be set."""
    rows: list[tuple[Content, ...]] = [
        (tag("code", each.name), tag("span", each.value), "" if each.is_default else mark("set", "set"))
        for each in sorted(shown(facts.settings), key=lambda each: (each.is_default, each.name))
    ]
    return table(("setting", "value", ""), rows)


def _most(counts: Mapping[str, float]) -> list[tuple[str, float]]:
    """What was counted at all, the most first."""
    return sorted(((each, count) for each, count in counts.items() if count), key=lambda pair: -pair[1])
