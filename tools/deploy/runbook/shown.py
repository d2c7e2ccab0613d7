"""What each command of the runbook prints, as its section says: a regular expression, found by re.MULTILINE."""

_METRICS = "curl --silent http://127.0.0.1:9464/metrics | grep"
_EVENTS = 'grep --extended-regexp \'"event":"'

_ID = '"call_request_id":"reasonNotFound01"'

SHOWN = {
    "call-request-gateway doctor --failed": r"\A\d+ ok, 0 failed, \d+ skipped$",
    "curl --silent --show-error http://127.0.0.1:9464/metrics"
    " | grep -E '^(build_info|grpc_server_failures_total)' | grep -v ' 0\\.0$'": (
        r'\A(grpc_server_failures_total\{.*reason="INVALID_REQUEST"\} 1\.0\n)build_info\{.*version=".*\} 1\.0\n\Z'
    ),
    "tail --lines 20 gateway.log": r'^\{"event":',
    """grep '"event":"call"' gateway.log | grep '"reason":"VENDOR_' | tail --lines 20""": _ID,
    """grep '"event":"cancel_settled"' gateway.log | grep '"settled_by":"error"' | tail --lines 20""": (_ID),
    "call-request-gateway healthcheck": r"\A\Z",
    "curl --silent --show-error --output /dev/null --write-out '%{http_code}\\n' http://127.0.0.1:9464/ready": "^200$",
    f"""{_EVENTS}(serving|draining|stopped)"' gateway.log | tail --lines 5""": '"serving"',
    f"""{_EVENTS}(a worker ended|a worker is stuck|a worker cannot start|serving)"' gateway.log | tail --lines 10""": (
        '"a worker is stuck"'
    ),
    f"{_METRICS} '^process_resident_memory_bytes'": r"^process_resident_memory_bytes \d",
    """grep '"event":"unexpected"' gateway.log | tail --lines 5""": '"unexpected"',
    """grep '"reason":"INTERNAL"' gateway.log | tail --lines 5""": _ID,
    f"""{_EVENTS}(no connection to|connected to) the vendor' gateway.log | tail --lines 5""": (
        '"no connection to the vendor"'
    ),
    f"""{_EVENTS}(no token from|a token from|files read again|a changed file is broken)'"""
    " gateway.log | tail --lines 5": ('"no token from the vendor"'),
    """grep '"event":"a token from the vendor again"' gateway.log | tail --lines 2""": (
        '"a token from the vendor again"'
    ),
    "call-request-gateway call GetCallRequestResult reasonNotFound01": r'"callRequestId": "reasonNotFound01"',
    """grep '"method":"GetCallRequestResult"' gateway.log | tail --lines 5""": _ID,
    """grep '"event":"cancel_settled"' gateway.log | grep '"settled_by":"nothing"' | tail --lines 20""": (_ID),
    "call-request-gateway call GetCallRequestResult "
    """'{"call_request_id": "reasonNotFound01", "max_age": "0s"}'""": r'"callRequestId": "reasonNotFound01"',
    """grep --extended-regexp '"reason":"CALLER_(UNAUTHENTICATED|FORBIDDEN)"' gateway.log | tail --lines 5""": (
        r'"method":"GetCallRequestResult".*"caller":"billing"|"caller":"billing".*"method":"GetCallRequestResult"'
    ),
    f"{_EVENTS}callers' gateway.log | tail --lines 5": '"callers read again"',
    f"{_METRICS} '^file_reload_success'": r"^file_reload_success\{.* 1\.0$",
    f"{_METRICS} '^certificate_expiry_timestamp_seconds'": (
        r"^certificate_expiry_timestamp_seconds\{settings=.* 1\.\d+e\+09$"
    ),
    f"{_METRICS} --extended-regexp '^(certificate_expiry|file_reload_success)'": (
        r"^file_reload_success\{.* 1\.0$(.|\n)*^certificate_expiry_"
    ),
    f"""{_EVENTS}(certificates read again|files read again|a certificate (ends soon|has ended))"'"""
    " gateway.log | tail --lines 5": '"files read again"',
    f"""{_EVENTS}(certificates are broken|callers.{{1,8}}file is broken|a changed file is broken)'"""
    " gateway.log | tail --lines 5": '"a changed file is broken',
    "call-request-gateway doctor": r"^ok +shared state .* is the master by Sentinel, with 2 replicas$",
    'kill -HUP "$PID"': r"\A\Z",
    f"{_EVENTS}(shared state|the channel of the shared state)' gateway.log | tail --lines 5": '"shared state is up"',
    f"{_EVENTS}shared state is (up|down)' gateway.log | tail --lines 5": (
        r'"shared state is up","server":"127\.0\.0\.1:\d+"'
    ),
    'valkey-cli -h "$SENTINEL" -p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME "$SERVICE"': r"\A127\.0\.0\.1\n\d+$",
    'valkey-cli -h "$SENTINEL" -p 26379 SENTINEL REPLICAS "$SERVICE"'
    " | grep --after-context 1 --line-regexp --extended-regexp 'name|flags|master-link-status'": (
        r"^name\n127\.0\.0\.1:\d+\n(--\n)?flags\nslave\n(--\n)?master-link-status\nok$"
    ),
    f"{_METRICS} '^log_lines_lost_total'": r"^log_lines_lost_total 0\.0$",
    "df --human-readable /tmp": r"^Filesystem.*Avail",
    f"{_EVENTS}traces are not taken' gateway.log | tail --lines 5": '"traces are not taken',
    f"{_METRICS} --extended-regexp '^process_(open|max)_fds'": (
        r"^process_(open|max)_fds \d(.|\n)*^process_(open|max)_fds \d"
    ),
    'ls -l "/proc/$PID/fd" | grep --count socket': r"^[1-9]\d*$",
    """grep '"event":"webhook"' gateway.log | tail --lines 10""": '"webhook"',
}
