"""The steps of a call, and which of our code belongs to each."""

import re

from .sampling import Stack

GRPC = "gRPC, event loop and sockets"
INTERCEPTOR = "interceptor"
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

OURS = (INTERCEPTOR, DESERIALIZE, LOOK_UP, SHARE, REQUEST, DECODE, TRANSLATE, SERIALIZE, LOG, METRICS, REST)
STEPS = (GRPC, *OURS)
"""In the order of a call. GRPC is all that is not ours, and system calls that the event loop makes for us."""

MODULES: dict[str, str | None] = {
    "rpc": INTERCEPTOR,
    "rpc.service": LOOK_UP,
    "rpc.aio_server": GRPC,  # it makes the tasks that grpc.aio would make
    "rpc.grpc_server": REST,
    "rpc.health": REST,
    "rpc.reflection": REST,
    "rpc.thread_priority": REST,
    "rpc.request_reader": GRPC,  # nearly all of it is grpc.aio's reading of the message
    "reading": SHARE,
    "reading.result_cache": LOOK_UP,
    "concurrency_limit": SHARE,
    "vendor_api": REQUEST,
    "vendor_api.rate_limit": SHARE,
    "vendor_api.faults": TRANSLATE,
    "vendor_api.translate": TRANSLATE,
    "vendor_api.mapping": TRANSLATE,
    "vendor_api.readers": TRANSLATE,
    "vendor_api.times": TRANSLATE,
    "vendor_api.document": TRANSLATE,
    "observability": METRICS,
    "observability.access_log": LOG,
    "observability.logs": LOG,
    "observability.operations": REST,
    "state": SHARE,
    "watching": REST,
    "webhook": REST,
    "cancelling": REST,
    "process": REST,
    "app": REST,
    "reloading": REST,
    "files": REST,
    # The event loop is run from here.
    "__main__": None,
    "commands": None,
    # Of other processes, or of the start.
    "healthcheck": None,
    "call": None,
    "doctor": None,
    "settings": None,
    "process.supervisor": None,
    "process.worker_process": None,
    "process.metrics_folder": None,
    "__init__": None,
}
"""The step of a room of server/, or of a module of it that differs; None: of no call."""

OF_CALLER = {
    "deadline": SHARE,
    "errors": INTERCEPTOR,
    "observability.debounce": LOG,
    "request_ids": INTERCEPTOR,
    "validation": LOOK_UP,
    "vendor_api.quirks": TRANSLATE,
}
"""Modules that serve many: what they do belongs to the step that called them, and to this one when none did."""

FUNCTIONS = {
    ("rpc.interceptor", "_decoder"): DESERIALIZE,
    ("rpc.interceptor", "_writer"): SERIALIZE,
    ("reading.results", "Results.cached"): LOOK_UP,
    ("reading.results", "Results._is_time_to_refresh"): LOOK_UP,
    ("reading.result_cache", "Reading.of"): SERIALIZE,
    ("reading.result_cache", "ResultCache.put"): SHARE,
    ("reading.result_cache", "ResultCache.invalidate"): SHARE,
    ("reading.result_cache", "ResultCache._expire"): REST,
    ("vendor_api.client", "VendorClient._answer"): TRANSLATE,
    ("vendor_api.client", "VendorClient.read_result.<locals>.translate"): TRANSLATE,
    ("vendor_api.exchange", "_parsed"): DECODE,
    ("vendor_api.document", "parse"): DECODE,
    ("vendor_api.document", "_is_bounded"): DECODE,
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
    """That of the function, else of the module, else of its room; REST in a room without a row."""
    for (where, name), step in FUNCTIONS.items():
        if where == module and (function == name or function.startswith(f"{name}.")):
            return step
    return MODULES[module] if module in MODULES else MODULES.get(module.partition(".")[0], REST)
