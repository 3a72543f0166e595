"""Functions about IP networks."""

from __future__ import annotations

import ipaddress
from decimal import Decimal

from factory.template.packer.language.functions.registry import FunctionError, define
from factory.template.packer.language.types import STRING
from factory.template.packer.language.values import Value, list_value, string

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_BITS = 32


def _network(prefix: str) -> Network:
    if not prefix.partition("/")[2].isdecimal():  # Python would take a netmask, too
        raise FunctionError(f"“{prefix}” is not a network such as 10.0.0.0/16", 0)
    try:
        return ipaddress.ip_network(prefix, strict=False)
    except ValueError as error:
        raise FunctionError(f"“{prefix}” is not a network: {error}", 0) from None


def _whole(value: Decimal, parameter: int) -> int:
    if value != value.to_integral_value():
        raise FunctionError("a whole number is needed", parameter)
    return int(value)


@define("cidrhost", "prefix:s hostnum:n")
def cidrhost(prefix: str, host: Decimal) -> str:
    network, wanted = _network(prefix), _whole(host, 1)
    if not -network.num_addresses <= wanted < network.num_addresses:
        raise FunctionError(f"{network} has no host {wanted}", 1)
    return str(network[wanted])


@define("cidrnetmask", "prefix:s")
def cidrnetmask(prefix: str) -> str:
    """Also of an IPv6 network, as in Packer, whatever its documentation says."""
    return str(_network(prefix).netmask)


def _subnet(network: Network, new_bits: int, wanted: int) -> Network:
    length = network.prefixlen + new_bits
    if new_bits < 0 or length > network.max_prefixlen:
        raise FunctionError(f"{network} can't be split by {new_bits} more bits", 1)
    if not 0 <= wanted < 1 << new_bits:
        raise FunctionError(f"{new_bits} more bits have no subnet number {wanted}", 2)
    base = int(network.network_address) + (wanted << (network.max_prefixlen - length))
    return type(network)((base, length))


@define("cidrsubnet", "prefix:s newbits:n netnum:n")
def cidrsubnet(prefix: str, new_bits: Decimal, wanted: Decimal) -> str:
    return str(_subnet(_network(prefix), _whole(new_bits, 1), _whole(wanted, 2)))


@define("cidrsubnets", "prefix:s *newbits:n")
def cidrsubnets(prefix: str, *new_bits: Decimal) -> Value:
    network = _network(prefix)
    position, result = int(network.network_address), []
    end = position + network.num_addresses
    for number, value in enumerate(new_bits, 1):
        bits = _whole(value, number)
        length = network.prefixlen + bits
        if not 1 <= bits <= MOST_BITS or length > network.max_prefixlen:
            raise FunctionError(f"{network} can't be split by {bits} more bits", number)
        size = 1 << (network.max_prefixlen - length)
        position = -(-position // size) * size
        if position + size > end:
            raise FunctionError(f"{network} has no room for another /{length}", number)
        result.append(string(str(type(network)((position, length)))))
        position += size
    return list_value(result, STRING)
