"""What counts as public."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from tollhouse.adapters.fetch.networks import may_be_fetched_from

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.9.10",
    "168.63.129.16",
    "169.254.169.254",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("literal", PUBLIC)
def test_public_addresses_may_be_fetched_from(literal: str) -> None:
    assert may_be_fetched_from(ip_address(literal), ())


@pytest.mark.parametrize("literal", REFUSED)
def test_no_other_address_may_be_fetched_from(literal: str) -> None:
    assert not may_be_fetched_from(ip_address(literal), ())


@pytest.mark.parametrize(
    ("literal", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("64:ff9b::a01:203", "10.0.0.0/8"),
        ("fd12::1", "fd00::/8"),
    ],
)
def test_what_the_operator_opened_may_be_fetched_from(literal: str, network: str) -> None:
    assert may_be_fetched_from(ip_address(literal), [ip_network(network)])
    assert not may_be_fetched_from(ip_address(literal), [ip_network("10.9.0.0/16"), ip_network("fe80::/10")])
