"""The profile itself: stacks belong to steps, every module to one, and the table has the figures."""

import ast
import re
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from measure.profiling.budget import read_budget
from measure.profiling.cpu import Cpu
from measure.profiling.load import KINDS
from measure.profiling.measure import Profile, attribute
from measure.profiling.page import BEGIN, END, PAGE, circumstances, replaced
from measure.profiling.sampling import RATE, Sampled, read_raw
from measure.profiling.steps import (
    DECODE,
    DESERIALIZE,
    FUNCTIONS,
    GRPC,
    INTERCEPTOR,
    LOG,
    LOOK_UP,
    METRICS,
    MODULES,
    OF_CALLER,
    REQUEST,
    REST,
    SERIALIZE,
    SHARE,
    STEPS,
    TRANSLATE,
    step_of,
)
from measure.profiling.table import table
from testkit.server_process import clean_environment
from tests.lacking import need_go_tool

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server"
SOURCES = {
    ".".join(path.relative_to(SERVER).with_suffix("").parts): path
    for path in sorted(SERVER.rglob("*.py"))
    if "sandbox" not in path.parts
}

# Stacks as py-spy writes them, from the outermost frame on.
LOOP = (
    "<module> (server/__main__.py);main (server/commands.py);run (uvloop/__init__.py);Runner.run (asyncio/runners.py)"
)
CALL = f"{LOOP};Interceptor._intercepted.<locals>.single (server/rpc/interceptor.py)"
GET = f"{CALL};CallRequestService.GetCallRequestResult (server/rpc/service.py)"
READ = f"{LOOP};Coalescer._run (server/reading/coalescing.py);Results._read (server/reading/results.py)"
ASK = f"{READ};VendorClient.read_result (server/vendor_api/client.py);VendorClient._get (server/vendor_api/client.py)"
PARSE = "_parsed (server/vendor_api/exchange.py);parse (server/vendor_api/document.py)"
EXCHANGE = f"{ASK};Exchanges.exchange (server/vendor_api/exchange.py)"
ANSWER = (
    f"{READ};VendorClient.read_result (server/vendor_api/client.py);VendorClient._answer (server/vendor_api/client.py)"
)
ENDED = f"{CALL};InterceptedCall.ended (server/rpc/intercepted_call.py)"


@pytest.mark.parametrize(
    ("stack", "step"),
    [
        pytest.param(LOOP, GRPC, id="native code below the event loop"),
        pytest.param(f"{LOOP};wait (asyncio/tasks.py);_wait (asyncio/tasks.py)", GRPC, id="grpc's use of asyncio"),
        pytest.param("_bootstrap (threading.py);run (threading.py)", GRPC, id="no frame of ours"),
        pytest.param(CALL, INTERCEPTOR, id="interceptor"),
        pytest.param(f"{CALL};_decoder.<locals>.decode (server/rpc/interceptor.py)", DESERIALIZE, id="deserialize"),
        pytest.param(f"{CALL};_writer.<locals>.<lambda> (server/rpc/interceptor.py)", SERIALIZE, id="serialize"),
        pytest.param(f"{GET};check_call_request_id (server/validation.py)", LOOK_UP, id="validate"),
        pytest.param(f"{GET};Results.cached (server/reading/results.py)", LOOK_UP, id="look up"),
        pytest.param(
            f"{GET};Results.cached (server/reading/results.py);now (server/deadline.py)", LOOK_UP, id="clock of look up"
        ),
        pytest.param(f"{READ};now (server/deadline.py)", SHARE, id="clock of share and wait"),
        pytest.param(f"{GET};Results.ask (server/reading/results.py)", SHARE, id="share and wait"),
        pytest.param(f"{READ};Throttle.admit (server/reading/throttle.py)", SHARE, id="throttle"),
        pytest.param(f"{EXCHANGE};Headers.raw (httpx/_models.py)", REQUEST, id="library below request"),
        pytest.param(f"{LOOP};Connection.data_received (server/vendor_api/http1.py)", REQUEST, id="parsing of HTTP"),
        pytest.param(f"{LOOP};now (server/deadline.py)", SHARE, id="helper that nobody of ours called"),
        pytest.param(
            f"{EXCHANGE};{PARSE};d (json/decoder.py)",
            DECODE,
            id="decode",
        ),
        pytest.param(f"{ANSWER};fill (server/vendor_api/translate.py)", TRANSLATE, id="translate"),
        pytest.param(
            f"{ANSWER};VendorClient.read_result.<locals>.translate (server/vendor_api/client.py)",
            TRANSLATE,
            id="function within a method",
        ),
        pytest.param(f"{ANSWER};is_empty (server/vendor_api/document.py)", TRANSLATE, id="document for translate"),
        pytest.param(f"{READ};Reading.of (server/reading/result_cache.py)", SERIALIZE, id="serialize what is kept"),
        pytest.param(
            f"{ENDED};AccessLog.ended (server/observability/access_log.py);is_call_request_id (server/validation.py)",
            LOG,
            id="validation for log",
        ),
        pytest.param(
            f"{ENDED};CallMetrics.ended (server/observability/call_metrics.py);inc (prometheus_client/metrics.py)",
            METRICS,
            id="metrics",
        ),
        pytest.param(f"{LOOP};f (server/new.py)", REST, id="module that is not known yet"),
    ],
)
def test_a_stack_belongs_to_the_step_of_its_innermost_frame_of_ours(stack: str, step: str) -> None:
    """Libraries and helpers count to the step that called them, and what nobody of ours called is gRPC's."""
    assert step_of(tuple(stack.split(";"))) == step


@pytest.mark.parametrize("module", SOURCES)
def test_every_module_of_the_server_belongs_to_a_step(module: str) -> None:
    """Each module has a row, or its room has one; a module that serves many has no other row."""
    assert module not in MODULES or module not in OF_CALLER
    assert {module, module.partition(".")[0]} & {*MODULES, *OF_CALLER}, "add its row to measure/profiling/steps.py"


def test_every_row_is_of_a_module_and_a_step_that_there_are() -> None:
    """What was renamed or removed has no row left, and no row's step is misspelt."""
    assert {*MODULES, *OF_CALLER} <= {*SOURCES, *(module.partition(".")[0] for module in SOURCES)}
    assert {*MODULES.values(), *OF_CALLER.values(), *FUNCTIONS.values()} - {None} <= set(STEPS)


@pytest.mark.parametrize(("module", "function"), FUNCTIONS)
def test_every_row_of_a_function_is_of_one_that_there_is(module: str, function: str) -> None:
    """A function that was renamed would fall to its module's step in silence."""
    assert function in _functions(ast.parse(SOURCES[module].read_text()))


def _functions(tree: ast.AST, within: str = "") -> set[str]:
    """The qualified names of all functions and methods."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            found |= _functions(node, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {within + node.name} | _functions(node, f"{within}{node.name}.<locals>.")
        else:
            found |= _functions(node, within)
    return found


def test_only_the_main_threads_stacks_are_read() -> None:
    """The others are gRPC's, and their time is counted whole."""
    raw = (
        "thread (17): MainThread;main (server/commands.py);run (asyncio/runners.py) 3\n"
        "thread (19): Thread-1 (_poll_wrapper);run (threading.py) 40\n"
        "thread (17): MainThread;main (server/commands.py) 2\n"
    )
    assert read_raw(raw) == {
        ("main (server/commands.py)", "run (asyncio/runners.py)"): 3,
        ("main (server/commands.py)",): 2,
    }


def test_a_sample_stands_for_less_when_others_have_the_core() -> None:
    """Of 10 s the gateway had 8, so a fifth of the samples are of waiting; its main thread ran for 6."""
    sampled = Sampled(cpu=Cpu(whole=8, main=6, core=10))
    assert sampled.grain == pytest.approx(0.8 / (RATE * 6))


def test_a_step_takes_what_its_samples_stand_for_and_grpc_what_is_left() -> None:
    """Four samples of the interceptor are 20 of 100 µs, be there ever so many of gRPC: some of those are of waiting."""
    stacks = Counter({tuple(LOOP.split(";")): 300, tuple(CALL.split(";")): 4})
    steps = attribute(stacks, grain=5, whole=100)
    assert steps == dict.fromkeys(STEPS, 0.0) | {GRPC: 80, INTERCEPTOR: 20}
    assert list(steps) == list(STEPS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_step_has_a_budget_that_is_scaled_by_the_floor(kind: object) -> None:
    """On a core of half the speed each step may take twice as long, and gRPC as long as the floor."""
    name = getattr(kind, "name")  # noqa: B009
    usual = read_budget(name, 150)
    assert list(usual) == list(STEPS)
    assert usual[GRPC] == 150
    assert read_budget(name, 300) == {step: 2 * microseconds for step, microseconds in usual.items()}


def test_the_table_marks_what_exceeds_its_budget_and_has_the_ratio_to_the_floor() -> None:
    """Bold is what exceeds its budget by more than noise; ours together and the whole call are sums."""
    measured = dict.fromkeys(STEPS, 0.0) | {GRPC: 60.0, INTERCEPTOR: 10.0, LOG: 30.0}
    profile = Profile(KINDS[0], calls=1000, floor=80.0, steps=measured, grain=0.1, others=0.03)
    lines = table(profile, dict.fromkeys(STEPS, 1.0) | {GRPC: 80.0, INTERCEPTOR: 9.9, LOG: 20.0}).splitlines()
    assert f"| {GRPC} | 80.0 | 60.0 ± 3.1 | 60.0% |" in lines
    assert f"| {INTERCEPTOR} | 9.9 | 10.0 ± 1.9 | 10.0% |" in lines
    assert f"| {LOG} | 20.0 | **30.0 ± 2.9** | 30.0% |" in lines
    assert "| ours together | 38.9 | 40.0 ± 3.1 | 40.0% |" in lines
    assert "| the whole call | 118.9 | 100.0 | 100.0% |" in lines
    assert lines[-1] == "The floor took 80 µs, a call 1.25 times that. 1,000 calls; others had 3% of the core."


def test_what_was_measured_takes_the_place_of_what_was_before() -> None:
    """All of the page outside of its markers stays as it is."""
    page = f"# Title\n\n{BEGIN}\n\nold\n\n{END}\n\n## After\n"
    assert replaced(page, "new") == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\n## After\n"


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_page_without_its_markers_is_not_written(page: str) -> None:
    """Each of them is there once, in their order, or nothing can be put between them."""
    with pytest.raises(ValueError, match="are needed"):
        replaced(page, "new")


def test_the_page_shows_a_dated_table_of_each_kind() -> None:
    """docs/profile.md has its markers, and between them the last measurement with all steps there are."""
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert replaced(PAGE.read_text(), shown.strip()) == PAGE.read_text()
    assert re.match(r"\s+20\d\d-\d\d-\d\d, ", shown)
    _assert_tables(shown)


def test_the_circumstances_name_nothing_personal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The date, the machine and versions; no host, no path, and of settings the names alone."""
    monkeypatch.setenv("GATEWAY_VENDOR_CLIENT_SECRET", "k9Zt")
    text = circumstances(8)
    assert "GATEWAY_VENDOR_CLIENT_SECRET" in text
    assert "grpcio" in text
    for personal in (socket.gethostname(), str(Path.home()), str(ROOT), "k9Zt"):
        assert personal not in text


@pytest.mark.timeout(900)
def test_a_short_profile_has_all_steps_of_both_kinds() -> None:
    """From the floor to the table, on real processes: calls are answered, sampled, and their steps seen."""
    need_go_tool("ghz")
    environment = {name: value for name, value in clean_environment().items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "measure.profiling", "--seconds", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    known, passed_through = _assert_tables(done.stdout)
    for step in (GRPC, SHARE, REQUEST, TRANSLATE):
        assert passed_through[step] > 0, step
    assert 0 < known["ours together"] < passed_through["ours together"] < passed_through["the whole call"]


def _assert_tables(text: str) -> list[dict[str, float]]:
    """What was measured, by step, in the table of each kind; each has all steps, and the sums."""
    parts = text.split("### ")[1:]
    assert [part.partition("\n")[0] for part in parts] == [kind.title for kind in KINDS]
    found = []
    for part in parts:
        rows = re.findall(r"^\| (.+?) \| [\d.]+ \| \**([\d.]+)", part, re.MULTILINE)
        assert [name for name, _ in rows] == [*STEPS, "ours together", "the whole call"]
        found.append({name: float(measured) for name, measured in rows})
    return found
