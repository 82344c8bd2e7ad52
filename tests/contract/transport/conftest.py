"""One suite of specifications, run over every implementation of the port."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from contract.transport.rig import Rig
from contract.transport.shortcomings import AIOHTTP

IMPLEMENTATIONS = ("http1-uvloop", "http1-asyncio", "aiohttp-asyncio")


@pytest.fixture(params=IMPLEMENTATIONS)
def rig(request: pytest.FixtureRequest) -> Rig:
    """Every implementation there is."""
    name = str(request.param)
    if name.startswith("aiohttp"):
        _declare_shortcomings(request)
    return Rig(name)


@pytest.fixture(params=IMPLEMENTATIONS[:2])
def own(request: pytest.FixtureRequest) -> Rig:
    """The house's own transport, for what the port leaves open."""
    return Rig(str(request.param))


def _declare_shortcomings(request: pytest.FixtureRequest) -> None:
    item = request.node
    case = item.callspec.id.replace("aiohttp-asyncio", "").strip("-")
    for name in (item.originalname, f"{item.originalname}[{case}]"):
        if name in AIOHTTP:
            item.add_marker(pytest.mark.xfail(strict=True, reason=AIOHTTP[name]))


class Certificates:
    """A private authority and what it has signed, well or badly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca_file = str(folder / "ca.pem")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self._openssl(
            "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=house", "-days", "2"
        )
        for name, host, days in (
            ("good", "IP:127.0.0.1,DNS:localhost", "2"),
            ("expired", "IP:127.0.0.1", "-1"),
            ("other", "DNS:elsewhere.example", "2"),
        ):
            (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
            self._openssl(
                "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
            )
            sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext")
            self._openssl("x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.pem", "-days", days)

    def server(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
