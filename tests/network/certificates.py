"""Certificates for one host on the loopback, each with what is wrong about it, made by openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

HIDDEN_NAME: Final = "api.holdfast.test"
"""A host that only a proxy reaches."""

NAMES: Final = f"DNS:localhost,DNS:{HIDDEN_NAME},IP:127.0.0.1,IP:::1"
_DATES: Final[Mapping[str, tuple[str, str, str]]] = {
    # What is wrong: not before, not after, for whom.
    "good": ("20200101000000Z", "20990101000000Z", NAMES),
    "expired": ("20200101000000Z", "20210101000000Z", NAMES),
    "not yet valid": ("20980101000000Z", "20990101000000Z", NAMES),
    "other name": ("20200101000000Z", "20990101000000Z", "DNS:portal.example"),
}
_CONFIG: Final = """\
[ca]
default_ca = here
[here]
database = {folder}/index
new_certs_dir = {folder}
default_md = sha256
rand_serial = yes
unique_subject = no
policy = any
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
commonName = placeholder
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Certificates:
    """Two authorities in `folder`: one that a client is told to trust, and one that inspects.

    Every file of `chains` holds key and certificate of a server; `trusted` is what belongs into
    `SSL_CERT_FILE`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        (folder / "openssl.cnf").write_text(_CONFIG.format(folder=folder))
        (folder / "index").touch()
        self.trusted = self._authority("Trusted Root")
        self._authority("Corporate Inspection")
        self.chains = {
            wrong: self._server("Trusted Root", wrong, *dates) for wrong, dates in _DATES.items()
        }
        self.chains["intercepted"] = self._server(
            "Corporate Inspection", "intercepted", *_DATES["good"]
        )

    def _authority(self, name: str) -> Path:
        certificate = self._folder / f"{name}.pem"
        self._openssl(
            ["req", "-x509", "-new", "-nodes", "-days", "3650", "-extensions", "root"],
            ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"],
            ["-keyout", f"{self._folder / name}.key", "-out", str(certificate)],
        )
        return certificate

    def _server(self, authority: str, wrong: str, begin: str, end: str, names: str) -> Path:
        chain, request = self._folder / f"{wrong}.chain", self._folder / f"{wrong}.csr"
        key, certificate = self._folder / f"{wrong}.key", self._folder / f"{wrong}.crt"
        self._openssl(
            ["req", "-new", "-nodes", "-subj", "/CN=localhost"],
            ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            ["-addext", f"subjectAltName={names}"],
            ["-keyout", str(key), "-out", str(request)],
        )
        self._openssl(
            ["ca", "-batch", "-notext", "-in", str(request), "-out", str(certificate)],
            ["-cert", str(self._folder / f"{authority}.pem")],
            ["-keyfile", str(self._folder / f"{authority}.key")],
            ["-startdate", begin, "-enddate", end],
        )
        chain.write_bytes(key.read_bytes() + certificate.read_bytes())
        return chain

    def _openssl(self, *parts: Sequence[str]) -> None:
        (command, *options), *more = parts
        config = ["-config", str(self._folder / "openssl.cnf")]
        subprocess.run(
            ["openssl", command, *config, *options, *(word for part in more for word in part)],
            check=True,
            capture_output=True,
            timeout=20,
        )
