"""Where a push came from."""

import pytest

from server.webhook.sources import Sources, parse_networks

VENDOR, PROXIES = parse_networks("192.0.2.0/24, 2001:db8::/32"), parse_networks("10.0.0.0/8")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "allowed"),
    [
        pytest.param("192.0.2.7", [], True, id="from there"),
        pytest.param("2001:db8::1", [], True, id="IPv6"),
        pytest.param("::ffff:192.0.2.7", [], True, id="IPv4 in IPv6's form"),
        pytest.param("198.51.100.1", [], False, id="from elsewhere"),
        pytest.param("198.51.100.1", ["192.0.2.7"], False, id="named by a stranger"),
        pytest.param("10.0.0.1", ["192.0.2.7"], True, id="named by a proxy"),
        pytest.param("10.0.0.1", ["198.51.100.1"], False, id="another named by a proxy"),
        pytest.param("10.0.0.1", ["192.0.2.7, 198.51.100.1"], False, id="made up further left"),
        pytest.param("10.0.0.1", ["192.0.2.7, 10.0.0.2"], True, id="through two proxies"),
        pytest.param("10.0.0.1", ["192.0.2.7", "10.0.0.2"], True, id="in two headers"),
        pytest.param("10.0.0.1", ["192.0.2.7:4711"], True, id="with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:4711"], True, id="IPv6 with a port"),
        pytest.param("10.0.0.1", ["unknown"], False, id="no address"),
        pytest.param("10.0.0.1", [], False, id="a proxy that names nobody"),
        pytest.param("", [], False, id="no peer"),
    ],
)
def test_only_trusted_proxies_name_the_source(peer: str, forwarded_for: list[str], allowed: bool) -> None:
    """X-Forwarded-For is read from right to left through trusted proxies."""
    assert Sources(VENDOR, PROXIES).allow(peer, forwarded_for) is allowed


def test_without_networks_a_push_may_come_from_anywhere() -> None:
    """Then only the sender counts."""
    assert Sources([], []).allow("198.51.100.1", [])


@pytest.mark.parametrize("value", ["", "anywhere", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/24,"])
def test_what_is_no_network_is_refused(value: str) -> None:
    """A host's bits beyond the mask are a slip."""
    with pytest.raises(ValueError, match="must be CIDRs"):
        parse_networks(value)
