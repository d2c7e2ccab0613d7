"""GATEWAY_STATE_URL in all its forms."""

import pytest

from server.state.connecting import StateUrl, parse_state_url


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            "redis://engine.example",
            StateUrl("server", (("engine.example", 6379),), False, None, None, 0, "", ""),
            id="host alone",
        ),
        pytest.param(
            "rediss://gateway:p%40ss@10.0.0.1:7000/3",
            StateUrl("server", (("10.0.0.1", 7000),), True, "gateway", "p@ss", 3, "", ""),
            id="TLS, credentials and database",
        ),
        pytest.param(
            "redis://:pw@[::1]:6380", StateUrl("server", (("::1", 6380),), False, None, "pw", 0, "", ""), id="IPv6"
        ),
        pytest.param(
            "redis+sentinel://s1,s2:26380,s3/results/1",
            StateUrl("sentinel", (("s1", 26379), ("s2", 26380), ("s3", 26379)), False, None, None, 1, "results", ""),
            id="sentinels",
        ),
        pytest.param(
            "rediss+cluster://c1,c2:7001",
            StateUrl("cluster", (("c1", 6379), ("c2", 7001)), True, None, None, 0, "", ""),
            id="cluster with TLS",
        ),
        pytest.param("unix:///run/v.sock", StateUrl("unix", (), False, None, None, 0, "", "/run/v.sock"), id="socket"),
        pytest.param(
            "valkey://engine", StateUrl("server", (("engine", 6379),), False, None, None, 0, "", ""), id="by its name"
        ),
    ],
)
def test_every_form_of_the_url_is_read(value: str, expected: StateUrl) -> None:
    """Hosts, ports, credentials, database, service and socket."""
    assert parse_state_url(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("http://engine", id="another scheme"),
        pytest.param("redis://", id="no host"),
        pytest.param("redis://secret@a,b", id="several hosts of one server"),
        pytest.param("redis://host:99999", id="no port"),
        pytest.param("redis://host:0", id="port 0"),
        pytest.param("redis://host/secret", id="a database that is no number"),
        pytest.param("redis://host/-1", id="a database below 0"),
        pytest.param("redis://host/١", id="a database in digits of another script"),
        pytest.param("redis://host?ssl=secret", id="a query"),
        pytest.param("redis+sentinel://s1", id="no service"),
        pytest.param("redis+cluster://c1/2", id="a database of a cluster"),
        pytest.param("unix://host/path", id="a host before a socket"),
        pytest.param("unix:", id="no socket"),
        pytest.param("redis://ho st", id="a blank"),
        pytest.param("redis://host\n", id="a line break"),
        pytest.param("redis://[::1", id="a broken address"),
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(value: str) -> None:
    """ValueError, whose text holds nothing of the value: it may hold a password."""
    with pytest.raises(ValueError, match="must be memory://") as caught:
        parse_state_url(value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "local"),
    [
        pytest.param("redis://127.0.0.1", True, id="loopback"),
        pytest.param("unix:///run/v.sock", True, id="socket"),
        pytest.param("redis+cluster://localhost:1,10.0.0.1:2", False, id="one beyond"),
        pytest.param("redis://engine", False, id="a name"),
    ],
)
def test_what_stays_on_the_machine_is_known(value: str, local: bool) -> None:
    """Beyond it encryption is required."""
    assert parse_state_url(value).is_local is local
