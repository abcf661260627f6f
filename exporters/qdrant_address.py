"""Where a Qdrant server is, and how to get in without giving the key away."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from encoders.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Tls:
    """How an ``https`` URL is trusted: by the system's authorities, or by those in ``ca_file`` (PEM).

    ``certificate_file`` and ``key_file`` (PEM) are this side's own, where the server wants one.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """The context of a connection; raises ``SettingsError`` where a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except OSError as error:
            raise SettingsError(f"a TLS file of Qdrant cannot be used: {error}; check the paths") from error
        return context


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server is and how to get in. The key is never shown."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    allow_key_over_http: bool = False

    def checked(self) -> SplitResult:
        """The parts of the URL; raises ``SettingsError`` for what cannot work or would give the key away."""
        parts = _split(self.url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("the URL of Qdrant must look like http://host:6333 or https://host:6333")
        if parts.username or parts.password:
            raise SettingsError("the URL of Qdrant must not hold a password: set FRESHET_QDRANT__API_KEY")
        if self.api_key is not None:
            self._check_key(parts)
        return parts

    def _check_key(self, parts: SplitResult) -> None:
        if not self.api_key or not re.fullmatch(r"[!-~]+", self.api_key):
            raise SettingsError("FRESHET_QDRANT__API_KEY must be printable ASCII without blanks")
        if parts.scheme == "http" and not self.allow_key_over_http and not _is_loopback(parts.hostname or ""):
            raise SettingsError(
                f"the API key would go to {parts.hostname} in the clear: use an https URL, "
                "or allow it explicitly on a network you trust"
            )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        # Reading the port is what finds a bad one.
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
