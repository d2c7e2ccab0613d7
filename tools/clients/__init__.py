"""Runs the clients of every language against today's gateway: python -m tools.clients [--contract FILE] [language …].

For each language it starts servers of its own, runs `clients/<language>/check`, reads the JUnit report that this wrote,
and at the end prints which check held in which language. What the servers and the check wrote stays in
`build/clients/<language>/`. The exit code is 1 when anything failed, and with CI=true also when anything was skipped.

A check's environment:

| variable | |
|---|---|
| `CALL_REQUEST_GATEWAY` | a fresh gateway without TLS, as shipped but for a maximal age of 0, and polls every 0.2 s |
| `CALL_REQUEST_SANDBOX` | the control address of its sandbox |
| `CALL_REQUEST_GATEWAY_RESTLESS` | a gateway in front of the same sandbox that ends each watch after 1 to 2 s |
| `CALL_REQUEST_GATEWAY_SILENT` | the first gateway behind a proxy: each connection falls silent 2 s after it was made |
| `CALL_REQUEST_GATEWAY_TLS`, `CALL_REQUEST_CA` | a fresh gateway with TLS and callers, and the PEM file of its CA |
| `CALL_REQUEST_TOKEN`, `CALL_REQUEST_READER_TOKEN` | who may read and cancel there, who may only read |
| `CALL_REQUEST_GATEWAY_NEXT` | a gateway of a later version: later_version.py |
| `CALL_REQUEST_GATEWAY_FLAWED` | a gateway that breaks the contract: flawed_gateway.py |
| `CONTRACT` | only with --contract: the descriptor set that the clients are built from |
| `OUT` | where the packages of stubs belong |
| `REPORT` | where the JUnit report belongs |
| `REQUIRE_ALL` | 1: all of these are set, so a test that misses one has failed |

A test case belongs to the check whose name its own becomes: without a class before it and `()` or `[…]` behind it,
without `test` in front, in snake case. So `test_keeps_its_deadline[aio]`, `TestKeepsItsDeadline/reading`,
`DeadlineTest.keepsItsDeadline()` and `checks > keeps its deadline` are all `keeps_its_deadline`. Of several cases of
one check each must pass. Cases of no check are tests of the client's own: they count by the exit code of `check`.
"""
