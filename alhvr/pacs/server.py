"""Server: which archive, how it is spoken to, and by which credentials, which no command line and no log ever holds."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from alhvr.core.errors import UserError, require
from alhvr.core.files import read_json

DIMSE, DIMSE_TLS, HTTP, HTTPS = SCHEMES = ("dicom", "dicoms", "http", "https")
ACCEPTED = "dicom://AET@host:port (dicoms:// for TLS), or http(s)://host/path of a DICOMweb service"
USER, PASSWORD, TOKEN = "ALHVR_PACS_USER", "ALHVR_PACS_PASSWORD", "ALHVR_PACS_TOKEN"
"""Environment variables that credentials are taken from."""
DEFAULT_PORTS = {DIMSE: 104, DIMSE_TLS: 2762, HTTP: 80, HTTPS: 443}
PACKAGES = {DIMSE: ("pynetdicom",), DIMSE_TLS: ("pynetdicom",), HTTP: ("dicomweb_client", "requests"),
            HTTPS: ("dicomweb_client", "requests")}
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_AET = re.compile(r"[ -\[\]-~]{1,16}")


@dataclass(frozen=True)
class Credentials:
    """Who asks: user and password, or a bearer token; empty for nobody."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.user or self.token)


@dataclass(frozen=True)
class Server:
    """One archive."""

    scheme: str
    host: str
    port: int
    title: str = ""
    """Application entity title of the archive; for DIMSE."""
    url: str = ""
    """Root of the DICOMweb service."""
    own_title: str = "ALHVR"
    """By which the archive knows this program."""
    credentials: Credentials = Credentials()
    trusted: Path | None = None
    """Certificates (PEM) to trust in place of the system's; None for the system's."""
    certificate: tuple[Path, Path] | None = None
    """Own certificate and its key, where the archive asks for one."""

    @property
    def is_web(self) -> bool:
        """True for DICOMweb."""
        return self.scheme in (HTTP, HTTPS)

    @property
    def encrypted(self) -> bool:
        """True where TLS is used."""
        return self.scheme in (DIMSE_TLS, HTTPS)

    @property
    def name(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"

    def tls(self) -> ssl.SSLContext:
        """What is trusted; raises UserError where a certificate cannot be read."""
        try:
            context = ssl.create_default_context(cafile=None if self.trusted is None else str(self.trusted))
            if self.certificate is not None:
                context.load_cert_chain(*map(str, self.certificate))
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"A certificate for TLS cannot be read ({error.strerror or type(error).__name__}).",
                            "Give files in PEM format that you may read.") from error
        return context


def server_of(address: str, *, own_title: str = "ALHVR", credentials: Path | None = None, trusted: Path | None = None,
              certificate: tuple[Path, Path] | None = None) -> Server:
    """The server at ``address`` with the credentials of the file, or of the environment; raises UserError."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise UserError("The address of the archive cannot be read.", f"Accepted: {ACCEPTED}.") from error
    if parts.password is not None or (parts.scheme in (HTTP, HTTPS) and parts.username):
        raise UserError("The address of the archive holds a user or a password, which other users of this computer "
                        "and the history of the shell would see.",
                        f"Set {USER} and {PASSWORD}, or give a file by --credentials.")
    require(parts.scheme in SCHEMES and bool(parts.hostname), "the address of the archive", address, ACCEPTED)
    _require_packages(parts.scheme)
    require(bool(_AET.fullmatch(own_title)), "--aet", own_title, "1 to 16 ASCII characters")
    found = Server(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], parts.username or "",
                   address if parts.scheme in (HTTP, HTTPS) else "", own_title,
                   credentials_of(credentials), trusted, certificate)
    if not found.is_web:
        require(bool(_AET.fullmatch(found.title)), "the address of the archive", address, ACCEPTED)
    if found.credentials and not found.encrypted and not _is_loopback(found.host):
        raise UserError(f"{found.name} is spoken to without encryption, so that a password would be sent in the open.",
                        "Use https:// or dicoms://, or leave the credentials out.")
    return found


def credentials_of(file: Path | None) -> Credentials:
    """Those of a JSON file that nobody else may read, or of the environment; raises UserError."""
    if file is None:
        return Credentials(*(os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN)))
    try:
        if os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UserError(f"{file.name}: other users of this computer may read or change the credentials.",
                            f"Make it yours alone: chmod 600 {file}.")
        values = read_json(file)
    except OSError as error:
        raise UserError(f"The credentials in {file} cannot be read: {error.strerror}.",
                        "Check the path and its permissions.") from error
    good = isinstance(values, dict) and set(values) <= {"user", "password", "token"} and all(
        isinstance(value, str) for value in values.values())
    if not good:
        raise UserError(f"{file.name} holds no credentials.",
                        'Accepted: {"user": "...", "password": "..."} or {"token": "..."}.')
    return Credentials(**values)


def require_uid(uid: str, what: str) -> str:
    """The UID; raises UserError for what is none, which could be a path too."""
    require(len(uid) <= 64 and bool(_UID.fullmatch(uid)), what, uid, "numbers with dots between, at most 64 characters")
    return uid


def _require_packages(scheme: str) -> None:
    missing = [name for name in PACKAGES[scheme] if find_spec(name) is None]
    if missing:
        raise UserError(f"alhvr pacs needs packages that are not installed: {', '.join(missing)}.",
                        "Install them: pip install 'alhvr[pacs]'.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
