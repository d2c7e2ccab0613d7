"""Where a push came from: its address, through the proxies that are trusted to name it."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def parse_networks(value: str) -> list[Network]:
    """Reads CIDRs, comma-separated. Raises ValueError."""
    try:
        return [ip_network(part.strip()) for part in value.split(",")]
    except ValueError:
        raise ValueError("must be CIDRs, comma-separated: 192.0.2.0/24, 2001:db8::/32") from None


class Sources:
    """Whether a push may come from where it came from.

    networks: from which pushes may come; none: from anywhere. proxies: whose X-Forwarded-For is believed.
    """

    def __init__(self, networks: Sequence[Network], proxies: Sequence[Network]) -> None:
        self._networks = networks
        self._proxies = proxies

    def allow(self, peer: str, forwarded_for: Sequence[str]) -> bool:
        """Whether a push may come from there.

        peer: the address of the connection. forwarded_for: the values of all X-Forwarded-For headers, in order.

        They are read from right to left, for as long as the address to the right is a trusted proxy's: what stands
        further left may be made up by anybody.
        """
        if not self._networks:
            return True
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        address = _address(peer)
        while address is not None and _is_in(address, self._proxies) and hops:
            address = _address(hops.pop())
        return address is not None and _is_in(address, self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, without a port and brackets; an IPv4 address in IPv6's form as what it is."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
