"""Settings: a wrong one ends the start with a line that names it and never shows a secret."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from server.app import Gateway
from server.settings import SettingsError, load_settings, unused_settings

VENDOR = {
    "GATEWAY_VENDOR_URL": "https://vendor.example/base",
    "GATEWAY_VENDOR_CLIENT_ID": "client",
    "GATEWAY_VENDOR_CLIENT_SECRET": "s3cr3t",
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


def _set(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_without_any_setting_the_documented_defaults_hold() -> None:
    """The names and defaults that deployments count on."""
    settings = load_settings()
    assert settings.listen == "127.0.0.1:50051"
    assert settings.metrics_listen == "127.0.0.1:9464"
    assert (settings.drain_delay, settings.grace) == (5, 30)
    assert settings.vendor_url is None
    assert settings.reflection
    assert not settings.allow_plaintext
    assert settings.vendor_cancel_path == "/api/v1/call-request/cancel"
    assert (settings.vendor_token_path, settings.vendor_token_method) == ("/authorizer/token", "POST")


PROXY = "GATEWAY_VENDOR_PROXY"
OTLP = "GATEWAY_OTLP_ENDPOINT"
WRONG = {
    "a token's address without https": (
        {**VENDOR, "GATEWAY_VENDOR_TOKEN_URL": "http://b.example/t"},
        "VENDOR_TOKEN_URL",
    ),
    "a token's address with a query": (
        {**VENDOR, "GATEWAY_VENDOR_TOKEN_URL": "https://b.example/?s3cr3t=1"},
        "VENDOR_TOKEN_URL",
    ),
    "a form in a GET": (
        {**VENDOR, "GATEWAY_VENDOR_TOKEN_AUTH": "body", "GATEWAY_VENDOR_TOKEN_METHOD": "GET"},
        "VENDOR_TOKEN_AUTH",
    ),
    "another way to authenticate": ({**VENDOR, "GATEWAY_VENDOR_TOKEN_AUTH": "digest"}, "VENDOR_TOKEN_AUTH"),
    "a collector without a scheme": ({OTLP: "collector.example:4317"}, "OTLP_ENDPOINT"),
    "a collector without a port": ({OTLP: "http://collector.example"}, "OTLP_ENDPOINT"),
    "a collector with a path, as for OTLP by HTTP": (
        {OTLP: "http://collector.example:4318/v1/traces"},
        "OTLP_ENDPOINT",
    ),
    "a collector with credentials": ({OTLP: "https://u:s3cr3t@collector.example:4317"}, "OTLP_ENDPOINT"),
    "a collector with a query": ({OTLP: "https://collector.example:4317?key=s3cr3t"}, "OTLP_ENDPOINT"),
    "more traces than calls": ({"GATEWAY_TRACE_SAMPLE_RATIO": "1.5"}, "TRACE_SAMPLE_RATIO"),
    "a share of calls that is no number": ({"GATEWAY_TRACE_SAMPLE_RATIO": "nan"}, "TRACE_SAMPLE_RATIO"),
    "a proxy by https": ({**VENDOR, PROXY: "https://u:s3cr3t@proxy.example:1"}, "VENDOR_PROXY"),
    "a proxy by SOCKS": ({**VENDOR, PROXY: "socks5://u:s3cr3t@proxy.example:1"}, "VENDOR_PROXY"),
    "a proxy without a scheme": ({**VENDOR, PROXY: "proxy.example:3128"}, "VENDOR_PROXY"),
    "a proxy without a port": ({**VENDOR, PROXY: "http://u:s3cr3t@proxy.example"}, "VENDOR_PROXY"),
    "a proxy with a wrong port": ({**VENDOR, PROXY: "http://u:s3cr3t@proxy.example:99999"}, "VENDOR_PROXY"),
    "a proxy with a password not encoded": ({**VENDOR, PROXY: "http://u:s3cr3t/#@proxy.example:1"}, "VENDOR_PROXY"),
    "a proxy with a path": ({**VENDOR, PROXY: "http://u:s3cr3t@proxy.example:1/a"}, "VENDOR_PROXY"),
    "a proxy with a blank": ({**VENDOR, PROXY: "http://u:s3cr3t @proxy.example:1"}, "VENDOR_PROXY"),
    "a proxy without a host": ({**VENDOR, PROXY: "http://u:s3cr3t@:1"}, "VENDOR_PROXY"),
    "a proxy without a vendor": ({PROXY: "http://proxy.example:1"}, "VENDOR_URL"),
    "a client certificate without its key": (
        {**VENDOR, "GATEWAY_VENDOR_CERTIFICATE": __file__},
        "VENDOR_CERTIFICATE",
    ),
    "a client certificate that is not there": (
        {**VENDOR, "GATEWAY_VENDOR_CERTIFICATE": __file__, "GATEWAY_VENDOR_KEY": "/none"},
        "VENDOR_KEY",
    ),
    "connections of no age": ({**VENDOR, "GATEWAY_VENDOR_MAX_CONNECTION_AGE": "0"}, "VENDOR_MAX_CONNECTION_AGE"),
    "plain http beyond loopback": ({**VENDOR, "GATEWAY_VENDOR_URL": "http://vendor.example"}, "VENDOR_URL"),
    "no address": ({**VENDOR, "GATEWAY_VENDOR_URL": "vendor.example"}, "VENDOR_URL"),
    "credentials in the address": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://a:s3cr3t@b.example"}, "VENDOR_URL"),
    "a query in the address": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b.example/?s3cr3t=1"}, "VENDOR_URL"),
    "a wrong port": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b.example:99999"}, "VENDOR_URL"),
    "a port that is no number": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b.example:s3cr3t"}, "VENDOR_URL"),
    "a host that is none": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://s3cr3t\u2100b/"}, "VENDOR_URL"),
    "a host with an empty part": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b..example"}, "VENDOR_URL"),
    "a host of a future IP": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://[v1.s3cr3t]"}, "VENDOR_URL"),
    "a host with a sign": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b<example"}, "VENDOR_URL"),
    "a blank in the host": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b .example/"}, "VENDOR_URL"),
    "a blank before the address": ({**VENDOR, "GATEWAY_VENDOR_URL": " https://b.example"}, "VENDOR_URL"),
    "a line break in the address": ({**VENDOR, "GATEWAY_VENDOR_URL": "https://b.exa\nmple"}, "VENDOR_URL"),
    "credentials without an address": ({**VENDOR, "GATEWAY_VENDOR_URL": ""}, "VENDOR_URL"),
    "a client id without an address": ({"GATEWAY_VENDOR_CLIENT_ID": "client"}, "VENDOR_URL"),
    "a secret without an address": ({"GATEWAY_VENDOR_CLIENT_SECRET": "s3cr3t"}, "VENDOR_URL"),
    "credentials alone, beyond loopback": (
        {"GATEWAY_VENDOR_CLIENT_ID": "client", "GATEWAY_LISTEN": "0.0.0.0:1", "GATEWAY_ALLOW_PLAINTEXT": "true"},
        "VENDOR_URL",
    ),
    "no secret": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_SECRET": ""}, "VENDOR_CLIENT_SECRET"),
    "no client id": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_ID": ""}, "VENDOR_CLIENT_ID"),
    "plaintext beyond loopback": ({**VENDOR, "GATEWAY_LISTEN": "0.0.0.0:50051"}, "LISTEN"),
    "plaintext beyond loopback, IPv6": ({**VENDOR, "GATEWAY_LISTEN": "[::]:50051"}, "LISTEN"),
    "the sandbox beyond loopback": (
        {"GATEWAY_LISTEN": "0.0.0.0:50051", "GATEWAY_ALLOW_PLAINTEXT": "true"},
        "VENDOR_URL",
    ),
    "the sandbox's own port beyond loopback": ({"GATEWAY_SANDBOX_LISTEN": "0.0.0.0:1"}, "SANDBOX_LISTEN"),
    "the sandbox's own port beyond loopback, IPv6": ({"GATEWAY_SANDBOX_LISTEN": "[::]:1"}, "SANDBOX_LISTEN"),
    "no port": ({"GATEWAY_LISTEN": "127.0.0.1"}, "LISTEN"),
    "metrics, no port": ({"GATEWAY_METRICS_LISTEN": "localhost"}, "METRICS_LISTEN"),
    "a host that no resolver takes": ({"GATEWAY_LISTEN": "..:1"}, "LISTEN"),
    "metrics, a host that no resolver takes": ({"GATEWAY_METRICS_LISTEN": "..:1"}, "METRICS_LISTEN"),
    "the sandbox, a host that no resolver takes": ({"GATEWAY_SANDBOX_LISTEN": f"{'a' * 64}:1"}, "SANDBOX_LISTEN"),
    "a key without its certificate": ({"GATEWAY_TLS_KEY": __file__}, "TLS_CERTIFICATE"),
    "no such file": ({"GATEWAY_TLS_KEY": "/no/key", "GATEWAY_TLS_CERTIFICATE": __file__}, "TLS_KEY"),
    "a secret of blanks": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_SECRET": " \n"}, "VENDOR_CLIENT_SECRET"),
    "a client id of blanks": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_ID": "\ufeff \t"}, "VENDOR_CLIENT_ID"),
    "a secret of two lines": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_SECRET": "s3cr3t\ns3cr3t"}, "VENDOR_CLIENT_SECRET"),
    "a client id with a control": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_ID": "s3cr3t\x7f"}, "VENDOR_CLIENT_ID"),
    "a secret that is no text": ({**VENDOR, "GATEWAY_VENDOR_CLIENT_SECRET": "s3cr3t\udcff"}, "VENDOR_CLIENT_SECRET"),
    "no number": ({"GATEWAY_GRACE": "s3cr3t"}, "GRACE"),
    "a negative number": ({"GATEWAY_DRAIN_DELAY": "-1"}, "DRAIN_DELAY"),
    "not a number": ({"GATEWAY_GRACE": "nan"}, "GRACE"),
    "a delay that leaves nothing": ({"GATEWAY_DRAIN_DELAY": "9", "GATEWAY_GRACE": "9"}, "DRAIN_DELAY, GATEWAY_GRACE"),
    "the usual delay and less": ({"GATEWAY_GRACE": "3"}, "DRAIN_DELAY, GATEWAY_GRACE"),
    "an unknown level": ({"GATEWAY_LOG_LEVEL": "loud"}, "LOG_LEVEL"),
    "a path that climbs": ({"GATEWAY_VENDOR_CANCEL_PATH": "/../{id}"}, "VENDOR_CANCEL_PATH"),
    "a path with a query": ({"GATEWAY_VENDOR_TOKEN_PATH": "/token?a=b"}, "VENDOR_TOKEN_PATH"),
    "another method": ({"GATEWAY_VENDOR_TOKEN_METHOD": "PUT"}, "VENDOR_TOKEN_METHOD"),
    "no such folder": ({"GATEWAY_SECRETS_DIR": "/no/folder"}, "SECRETS_DIR"),
    "no such file of callers": ({"GATEWAY_CALLERS": "/no/callers.toml"}, "CALLERS"),
    "a folder of callers": ({"GATEWAY_CALLERS": str(Path(__file__).parent)}, "CALLERS"),
    "a folder of CAs": ({**VENDOR, "GATEWAY_VENDOR_CA": str(Path(__file__).parent)}, "VENDOR_CA"),
    "clients' certificates without TLS": ({"GATEWAY_TLS_CLIENT_CA": __file__}, "TLS_CLIENT_CA"),
    "a port in digits that are not ASCII": ({"GATEWAY_LISTEN": "127.0.0.1:\uff11"}, "LISTEN"),
    "one port for two": (
        {"GATEWAY_LISTEN": "127.0.0.1:7000", "GATEWAY_METRICS_LISTEN": "localhost:7000"},
        "METRICS_LISTEN",
    ),
    "one port for two, by IPv6": (
        {"GATEWAY_LISTEN": "[::1]:7000", "GATEWAY_METRICS_LISTEN": "LocalHost:7000"},
        "METRICS_LISTEN",
    ),
    "one port for two, on all addresses": (
        {"GATEWAY_METRICS_LISTEN": "0.0.0.0:7000", "GATEWAY_WEBHOOK_LISTEN": "[::1]:7000"},
        "WEBHOOK_LISTEN",
    ),
    "the port of the sandbox": ({"GATEWAY_LISTEN": "127.0.0.1:50080"}, "SANDBOX_LISTEN"),
    "no workers": ({"GATEWAY_WORKERS": "0"}, "WORKERS"),
    "workers that are no number": ({"GATEWAY_WORKERS": "many"}, "WORKERS"),
    "a rate_limiter that lets nothing through": (
        {"GATEWAY_VENDOR_MAX_CALLS_PER_SECOND": "0"},
        "VENDOR_MAX_CALLS_PER_SECOND",
    ),
}


@pytest.mark.parametrize(("values", "named"), [pytest.param(*case, id=name) for name, case in WRONG.items()])
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], named: str
) -> None:
    """One line for each wrong setting, with its name and without what it holds."""
    _set(monkeypatch, values)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (line,) = caught.value.lines
    assert f"GATEWAY_{named}" in line.partition(": ")[0]
    assert "s3cr3t" not in line


def test_every_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is wrong is reported at once."""
    _set(monkeypatch, {"GATEWAY_GRACE": "x", "GATEWAY_LISTEN": "y", "GATEWAY_LOG_FORMAT": "z"})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.partition(":")[0] for line in caught.value.lines] == [
        "GATEWAY_LISTEN",
        "GATEWAY_GRACE",
        "GATEWAY_LOG_FORMAT",
    ]


def test_what_does_not_fit_together_is_reported_beside_what_is_wrong_in_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody should have to start twice; nothing follows from a setting whose value is not known."""
    wrong = {"GATEWAY_WORKERS": "x", "GATEWAY_VENDOR_URL": "https://vendor.example", "GATEWAY_VENDOR_CLIENT_ID": "id"}
    _set(monkeypatch, wrong | {"GATEWAY_DRAIN_DELAY": "y", "GATEWAY_GRACE": "1", "GATEWAY_TLS_KEY": __file__})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.partition(":")[0] for line in caught.value.lines] == [
        "GATEWAY_WORKERS",
        "GATEWAY_DRAIN_DELAY",
        "GATEWAY_VENDOR_CLIENT_SECRET",
        "GATEWAY_TLS_CERTIFICATE, GATEWAY_TLS_KEY",
    ]


def test_a_vendor_whose_url_is_wrong_is_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """There would be no sandbox, so that nothing about its address is wrong."""
    for sandbox, listen in (("127.0.0.1:7000", "127.0.0.1:7000"), ("0.0.0.0:7000", "127.0.0.1:7001")):
        _set(monkeypatch, {"GATEWAY_VENDOR_URL": "x", "GATEWAY_LISTEN": listen, "GATEWAY_SANDBOX_LISTEN": sandbox})
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert [line.partition(":")[0] for line in caught.value.lines] == ["GATEWAY_VENDOR_URL"]


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SECRETS_DIR holds files named as the settings, in lower case; the newline at the end is not part of it."""
    (tmp_path / "gateway_vendor_client_secret").write_text("from-a-file\n")
    _set(monkeypatch, {**VENDOR, "GATEWAY_SECRETS_DIR": str(tmp_path)})
    monkeypatch.delenv("GATEWAY_VENDOR_CLIENT_SECRET")
    secret = load_settings().vendor_client_secret
    assert secret is not None
    assert secret.get_secret_value() == "from-a-file"
    assert "from-a-file" not in repr(load_settings())


@pytest.mark.parametrize(
    "text", ["{}\n", "{}\r\n", " {}\t", "\ufeff{}", "\ufeff {}\n\n", "{}\ufeff", "\u00a0{}\u2028", "{}"]
)
@pytest.mark.parametrize("name", ["vendor_client_id", "vendor_client_secret"])
@pytest.mark.parametrize("by_file", [True, False], ids=["by a file", "by the environment"])
def test_what_stands_around_a_secret_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_file: bool, name: str, text: str
) -> None:
    """Line breaks, blanks and a byte order mark come from editors and tools; blanks within it are its own."""
    secret, variable = "in pieces", f"GATEWAY_{name.upper()}"
    _set(monkeypatch, VENDOR | {variable: text.format(secret), "GATEWAY_SECRETS_DIR": str(tmp_path)})
    if by_file:
        monkeypatch.delenv(variable)
        (tmp_path / variable.lower()).write_bytes(text.format(secret).encode())
    value = getattr(load_settings(), name)
    assert (value if isinstance(value, str) else value.get_secret_value()) == secret


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        pytest.param("gateway_vendor_client_secret", b"s3cr3t\xff", "VENDOR_CLIENT_SECRET", id="no UTF-8"),
        pytest.param("gateway_callers", b"s3cr3t\0", "CALLERS", id="no path"),
    ],
)
def test_a_file_of_secrets_that_cannot_be_used_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes, named: str
) -> None:
    """A line as for all others, not a traceback."""
    (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("GATEWAY_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=f"^GATEWAY_{named}: [^;]*(cannot be read|is not UTF-8)$") as caught:
        load_settings()
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_secret_that_is_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """It is neither waited for nor taken for unset; other files than settings are not looked at."""
    _set(monkeypatch, {"GATEWAY_SECRETS_DIR": str(tmp_path)})
    (tmp_path / "tls.der").write_bytes(b"\xff")
    make(tmp_path / "gateway_vendor_proxy")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.lines == ["GATEWAY_VENDOR_PROXY: its file in GATEWAY_SECRETS_DIR is not a regular file"]


async def test_cas_that_are_gone_by_the_start_are_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file may be replaced after it was looked at."""
    (tmp_path / "ca.pem").touch()
    _set(monkeypatch, VENDOR | {"GATEWAY_VENDOR_CA": str(tmp_path / "ca.pem")})
    settings = load_settings()
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(SettingsError, match=r"^GATEWAY_VENDOR_CA: cannot be read$"):
        await Gateway(settings).__aenter__()


def test_without_a_delay_the_end_may_be_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests, which wait for nobody."""
    _set(monkeypatch, {"GATEWAY_DRAIN_DELAY": "0", "GATEWAY_GRACE": "0"})
    assert load_settings().grace == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.example:8443/base/",
        "https://b\u00fccher.example",
        "http://[::1]:80",
        "https://under_score.example.",
    ],
)
def test_every_usual_address_of_a_vendor_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """With a port, a path, an IP address, letters of other languages."""
    _set(monkeypatch, VENDOR | {"GATEWAY_VENDOR_URL": url})
    assert load_settings().vendor_url == url


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:50051", "[::1]:50051", "127.9.9.9:1"])
def test_plaintext_on_loopback_needs_no_permission(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    """Every spelling of loopback is loopback."""
    monkeypatch.setenv("GATEWAY_LISTEN", listen)
    assert load_settings().listen == listen


def test_plaintext_beyond_loopback_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator may say that something else protects the connections."""
    _set(monkeypatch, VENDOR | {"GATEWAY_LISTEN": "0.0.0.0:50051", "GATEWAY_ALLOW_PLAINTEXT": "true"})
    assert load_settings().allow_plaintext


def test_the_sandbox_beyond_loopback_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that are made up reach others only when an operator says so."""
    allowed = ("GATEWAY_ALLOW_PLAINTEXT", "GATEWAY_ALLOW_SANDBOX")
    _set(monkeypatch, {"GATEWAY_LISTEN": "0.0.0.0:50051", **dict.fromkeys(allowed, "true")})
    assert load_settings().vendor_url is None


def test_the_sandbox_beside_credentials_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has credentials means the vendor, unless they say that they do not."""
    _set(monkeypatch, VENDOR | {"GATEWAY_VENDOR_URL": "", "GATEWAY_ALLOW_SANDBOX": "true"})
    assert load_settings().vendor_url is None


def test_settings_that_change_nothing_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name, or one of another version: the log names it."""
    _set(monkeypatch, {"GATEWAY_VENDR_URL": "x", "GATEWAY_GRACES": "9", "GATEWAY_GRACE": "9", "OTHER": "z"})
    assert unused_settings() == ["GATEWAY_GRACES", "GATEWAY_VENDR_URL"]


def test_files_of_secrets_that_change_nothing_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret in a file with a misspelt name is as lost as one in a variable."""
    for name in ("gateway_vendor_client_secert", "gateway_vendor_client_id", "tls.key"):
        (tmp_path / name).write_text("x")
    _set(monkeypatch, {"GATEWAY_SECRETS_DIR": str(tmp_path)})
    assert unused_settings() == ["gateway_vendor_client_secert"]


def test_variables_of_kubernetes_services_are_not_taken_for_misspelt_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets them for each Service, here for `gateway` and `gateway-b`."""
    links = ("PORT", "SERVICE_PORT", "SERVICE_PORT_GRPC", "SERVICE_HOST", "PORT_50051_TCP", "PORT_50051_TCP_ADDR")
    for link in links:
        monkeypatch.setenv(f"GATEWAY_{link}", "tcp://10.0.0.1:50051")
        monkeypatch.setenv(f"GATEWAY_B_{link}", "tcp://10.0.0.1:50051")
    monkeypatch.setenv("GATEWAY_METRICS_PORT", "9464")
    assert unused_settings() == ["GATEWAY_METRICS_PORT"]


def test_empty_means_unset_but_for_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is an unset one, as deployment files have them; an empty METRICS_LISTEN turns it off."""
    _set(
        monkeypatch,
        {"GATEWAY_VENDOR_URL": "", "GATEWAY_LISTEN": "", "GATEWAY_METRICS_LISTEN": "", "GATEWAY_WORKERS": ""},
    )
    settings = load_settings()
    assert (settings.vendor_url, settings.listen, settings.metrics_listen) == (None, "127.0.0.1:50051", "")


def test_http_beyond_loopback_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the vendor and its token endpoint: a sidecar adds TLS."""
    addresses = {"GATEWAY_VENDOR_URL": "http://b.example", "GATEWAY_VENDOR_TOKEN_URL": "http://c.example/t"}
    _set(monkeypatch, VENDOR | addresses)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(caught.value.lines) == 2
    monkeypatch.setenv("GATEWAY_VENDOR_ALLOW_HTTP", "true")
    assert load_settings().vendor_url == "http://b.example"


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}\t", "\ufeff{}", "\ufeff{}\r\n\n"])
def test_what_editors_put_around_secrets_is_no_part_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, around: str
) -> None:
    """Blanks, line breaks and a byte order mark; in the environment and in files alike."""
    _set(
        monkeypatch,
        VENDOR | {"GATEWAY_VENDOR_CLIENT_SECRET": around.format("s3cr3t"), "GATEWAY_SECRETS_DIR": str(tmp_path)},
    )
    (tmp_path / "gateway_vendor_proxy").write_bytes(around.format("http://u:p%20w@proxy.example:3128").encode())
    settings = load_settings()
    assert settings.vendor_client_secret is not None
    assert settings.vendor_client_secret.get_secret_value() == "s3cr3t"
    assert settings.vendor_proxy is not None
    assert settings.vendor_proxy.get_secret_value() == "http://u:p%20w@proxy.example:3128"
    assert "p%20w" not in repr(settings)


def test_settings_that_come_from_files_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the environment sets does not come from a file, although there is one; an empty variable sets nothing."""
    for name in ("gateway_vendor_client_id", "GATEWAY_VENDOR_CLIENT_SECRET", "gateway_vendor_proxy"):
        (tmp_path / name).write_text("http://from.a.file:1")
    _set(monkeypatch, {"GATEWAY_VENDOR_URL": "https://b.example", "GATEWAY_VENDOR_CLIENT_ID": "client"})
    _set(monkeypatch, {"GATEWAY_SECRETS_DIR": str(tmp_path), "GATEWAY_VENDOR_CLIENT_SECRET": ""})
    settings = load_settings()
    assert settings.vendor_client_id == "client"
    found = settings.secret_files("vendor_client_id", "vendor_client_secret", "vendor_key")
    assert found == {"vendor_client_secret": tmp_path / "GATEWAY_VENDOR_CLIENT_SECRET"}
