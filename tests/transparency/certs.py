"""Certificates for a test: an authority, a server and a client of ours, and a client that a stranger vouches for."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAME = "agent.test"
VALID_FOR = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as PEM files."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    ca: Path
    server: Identity
    client: Identity
    foreign: Identity
    """A client that an authority unknown to everybody has signed."""

    def server_credentials(self, *, wants_client: bool) -> grpc.ServerCredentials:
        pair = (self.server.key.read_bytes(), self.server.cert.read_bytes())
        if not wants_client:
            return grpc.ssl_server_credentials([pair])
        return grpc.ssl_server_credentials([pair], self.ca.read_bytes(), require_client_auth=True)

    def channel_credentials(self, identity: Identity | None = None) -> grpc.ChannelCredentials:
        """What a caller dials with: our authority, and a certificate of its own where it has one."""
        if identity is None:
            return grpc.ssl_channel_credentials(self.ca.read_bytes())
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), identity.key.read_bytes(), identity.cert.read_bytes())

    def listen_options(self, *, wants_client: bool) -> dict[str, str]:
        """`listen_tls` of a route."""
        options = {"cert": str(self.server.cert), "key": str(self.server.key)}
        return options | ({"client_ca": str(self.ca)} if wants_client else {})

    def upstream_options(self, *, wants_client: bool) -> dict[str, str]:
        """`upstream_tls` of a route."""
        options = {"ca": str(self.ca), "server_name": SERVER_NAME}
        return options | ({"cert": str(self.client.cert), "key": str(self.client.key)} if wants_client else {})


@dataclass(frozen=True, slots=True)
class Authority:
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    cert: x509.Certificate


def make_tls_files(folder: Path) -> TlsFiles:
    ours, theirs = make_authority("ours"), make_authority("theirs")
    ca = folder / "ca.pem"
    ca.write_bytes(ours.cert.public_bytes(serialization.Encoding.PEM))
    return TlsFiles(
        ca,
        issue(ours, SERVER_NAME, folder / "server"),
        issue(ours, "planner", folder / "client"),
        issue(theirs, "planner", folder / "foreign"),
    )


def make_authority(common_name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = named(common_name)
    builder = started(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(name, key, builder.sign(key, hashes.SHA256()))


def issue(authority: Authority, common_name: str, stem: Path) -> Identity:
    """A certificate for `common_name` and for this machine's own addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [
        x509.DNSName(common_name),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    builder = started(named(common_name), authority.name, key.public_key())
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    cert = builder.sign(authority.key, hashes.SHA256())
    identity = Identity(stem.with_suffix(".crt"), stem.with_suffix(".key"))
    identity.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(plain_pem(key))
    return identity


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def started(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - VALID_FOR).not_valid_after(now + VALID_FOR)


def plain_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())
