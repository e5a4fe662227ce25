"""Which hosts a capture may reach."""

import ipaddress
import socket


def connect(host: str, port: int, private_hosts: bool) -> socket.socket:
    """Return a connection to the very address that was checked, so that a name which changes its mind gains nothing.

    Args:
        host: a name or an IP address.
        port: TCP port.
        private_hosts: also reach loopback, private and link-local addresses.

    Raises:
        PermissionError: an address of the host is not public.
        OSError: it cannot be reached.
    """
    addresses = resolve(host)
    private = [address for address in addresses if not is_public(address)]
    if private and not private_hosts:
        raise PermissionError(f"{host} is a private address ({private[0]}), refused: allow private hosts to capture it")
    try:
        return socket.create_connection((addresses[0], port), timeout=30)
    except OSError:
        if len(addresses) < 2:
            raise
        return socket.create_connection((addresses[1], port), timeout=30)


def resolve(host: str) -> list[str]:
    """The addresses of a host, as text."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, and so does the IPv4 address that an IPv6 address may carry."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _TRANSLATED or ip in _COMPATIBLE:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not ip.is_unspecified


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
