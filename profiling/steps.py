"""The steps of a call, and which of our code belongs to each."""

import re

from .sampling import Stack

GRPC = "gRPC, event loop and sockets"
GUARD = "guard"
DESERIALIZE = "deserialize"
LOOK_UP = "validate and look up"
SHARE = "share and wait"
REQUEST = "request"
DECODE = "decode"
TRANSLATE = "translate"
SERIALIZE = "serialize"
LOG = "log"
METRICS = "metrics"
REST = "rest"

OURS = (GUARD, DESERIALIZE, LOOK_UP, SHARE, REQUEST, DECODE, TRANSLATE, SERIALIZE, LOG, METRICS, REST)
STEPS = (GRPC, *OURS)
"""In the order of a call. GRPC is all that is not ours, and system calls that the event loop makes for us."""

MODULES: dict[str, str | None] = {
    "guard": GUARD,
    "callers": GUARD,
    "callers_file": GUARD,
    "reloading": GUARD,
    "certificates": GUARD,
    "status": GUARD,
    "service": LOOK_UP,
    "kept_results": LOOK_UP,
    "results": SHARE,
    "shared_reads": SHARE,
    "limits": SHARE,
    "ceiling": SHARE,
    "throttle": SHARE,
    "retries": SHARE,
    "vendor.client": REQUEST,
    "vendor.token": REQUEST,
    "vendor.token_endpoint": REQUEST,
    "vendor.exchange": REQUEST,
    "vendor.transport": REQUEST,
    "vendor.http1": REQUEST,
    "vendor.trouble": REQUEST,
    "vendor.faults": TRANSLATE,
    "vendor.translate": TRANSLATE,
    "vendor.rows": TRANSLATE,
    "vendor.readers": TRANSLATE,
    "vendor.document": TRANSLATE,
    "access_log": LOG,
    "logs": LOG,
    "metrics": METRICS,
    "later": METRICS,
    "cancellation": REST,
    "cancels_under_way": REST,
    "describe": REST,
    "operations": REST,
    "heartbeat": REST,
    "embedded": REST,
    "end_signals": REST,
    "app": REST,
    "lanes": REST,
    "grpc_server": GRPC,  # it makes the tasks that grpc.aio would make
    "health": REST,
    "port": REST,
    "scheduling": REST,
    # The event loop is run from here.
    "__main__": None,
    "commands": None,
    # Of other processes, or of the start.
    "healthcheck": None,
    "settings": None,
    "worker_process": None,
    "metrics_folder": None,
    "workers": None,
    "__init__": None,
    "vendor.__init__": None,
}
"""The step of each module of server/; None: of no call."""

OF_CALLER = {"deadline": SHARE, "errors": GUARD, "soon": LOG, "validation": LOOK_UP, "vendor.quirks": TRANSLATE}
"""Modules that serve many: what they do belongs to the step that called them, and to this one when none did."""

FUNCTIONS = {
    ("guard", "_reader"): DESERIALIZE,
    ("guard", "_writer"): SERIALIZE,
    ("results", "Results.kept"): LOOK_UP,
    ("results", "Results._is_time_to_refresh"): LOOK_UP,
    ("kept_results", "Reading.of"): SERIALIZE,
    ("kept_results", "KeptResults.keep"): SHARE,
    ("kept_results", "KeptResults.drop"): SHARE,
    ("kept_results", "KeptResults._expire"): REST,
    ("vendor.client", "VendorClient._answer"): TRANSLATE,
    ("vendor.client", "VendorClient.read_result.<locals>.translate"): TRANSLATE,
    ("vendor.exchange", "_parsed"): DECODE,
    ("vendor.document", "parse"): DECODE,
    ("vendor.document", "_object"): DECODE,
}
"""What does not belong to its module's step: functions and methods, with all that is in them."""

_OURS = re.compile(r"(?P<function>.+) \(server/(?P<module>[\w/]+)\.py\)")


def step_of(stack: Stack) -> str:
    """The step of the innermost frame that belongs to one; libraries' frames belong to whoever called them."""
    otherwise = GRPC
    for frame in reversed(stack):
        if match := _OURS.fullmatch(frame):
            module = match["module"].replace("/", ".")
            if module not in OF_CALLER:
                return _step(module, match["function"]) or otherwise
            if otherwise == GRPC:
                otherwise = OF_CALLER[module]
    return otherwise


def _step(module: str, function: str) -> str | None:
    """A new module's is REST until it has its row."""
    for (where, name), step in FUNCTIONS.items():
        if where == module and (function == name or function.startswith(f"{name}.")):
            return step
    return MODULES.get(module, REST)
