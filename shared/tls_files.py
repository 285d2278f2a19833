"""The files of an encrypted connection: who is trusted, and who we are."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True)
class TlsFiles:
    """PEM files as the settings name them; without a CA file the system's authorities are trusted."""

    variables: str
    """How the three variables begin: `KAFKA_SSL`."""
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def given(self) -> list[str]:
        """The variables that are set."""
        files = {"CA": self.ca, "CERT": self.certificate, "KEY": self.key}
        return [f"{self.variables}_{kind}_FILE" for kind, path in files.items() if path]

    def context(self) -> ssl.SSLContext:
        """What a client connects with; raises ValueError in one line that names the variable."""
        context = self._trusting_context()
        if self.key and not self.certificate:
            raise ValueError(
                f"{self.variables}_KEY_FILE={self.key!r}: it has no certificate beside it; "
                f"allowed: together with {self.variables}_CERT_FILE"
            )
        if self.certificate:
            self._readable("CERT", self.certificate)
            self._readable("KEY", self.key or self.certificate)
            self._load_identity(context)
        return context

    def _trusting_context(self) -> ssl.SSLContext:
        if not self.ca:
            return ssl.create_default_context()
        self._readable("CA", self.ca)
        try:
            return ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError as fault:
            raise self._wrong(
                "CA", self.ca, f"it holds no certificate in PEM form ({fault.reason})"
            ) from None

    def _load_identity(self, context: ssl.SSLContext) -> None:
        key = self.key or self.certificate
        try:
            # Without a word to say, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.certificate, key, password="")
        except ssl.SSLError as fault:
            problem = f"it is no key in PEM form to {self.variables}_CERT_FILE, or wants a passphrase"
            raise self._wrong("KEY", key, f"{problem} ({fault.reason or 'PEM'})") from None

    def _readable(self, kind: str, path: str) -> None:
        try:
            with open(path, "rb"):  # noqa: PTH123 - a Path of "" would be the folder
                pass
        except OSError as fault:
            raise self._wrong(kind, path, f"it cannot be read: {fault.strerror}") from None

    def _wrong(self, kind: str, path: str, problem: str) -> ValueError:
        return ValueError(
            f"{self.variables}_{kind}_FILE={path!r}: {problem}; allowed: a PEM file this user can read"
        )
