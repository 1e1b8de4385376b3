"""Signs synthetic images with the user's own certificate: C2PA content credentials, beside the IPTC mark.

Source: C2PA Technical Specification 2.2, sections 11 (manifests) and 18.15 (actions, with the IPTC digital source type).
Needs the extra "c2pa" (c2pa-python, which signs and verifies offline). A manifest takes some 15 kB a file.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from curate import __version__
from curate.errors import InputError, MissingExtra, SettingError, WorkError
from curate.writers.marking.iptc import SOURCE_TYPE

OPTIONS = {
    "sign_cert": "sign synthetic images (C2PA) with this PEM certificate chain, the signer's own first",
    "sign_key": "the signer's private key, PEM without a passphrase",
}
"""What every writer of images takes."""

_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class Signer:
    """Puts a signed manifest into image files.

    Args:
        cert: PEM file: the signing certificate, then those that lead to its root.
        key: PEM file with its private key: P-256, P-384, P-521, Ed25519 or RSA (signed as PS256).

    Raises:
        MissingExtra: c2pa-python is not installed.
        SettingError: the key is of no kind that C2PA signs with.
        InputError: a file is missing or is not what it should be.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        try:
            import c2pa
            import cryptography  # noqa: F401 (needed below)
        except ImportError:
            raise MissingExtra("signing needs c2pa-python, which is not installed", hint="pip install 'curate[c2pa]'") from None
        chain, secret = _read(cert, "certificate"), _read(key, "private key")
        algorithm = _algorithm(secret, key)
        self._c2pa: Any = c2pa
        try:
            self._signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm.encode(), chain, secret, None))
        except c2pa.C2paError as error:
            raise InputError(f"{cert} and {key} cannot sign: {error}") from error

    def sign(self, data: bytes, suffix: str, *, model: str, seed: int) -> bytes:
        """Return the image file with a signed manifest that says which model drew it, and with which seed.

        Raises:
            SettingError: files of this suffix cannot carry a manifest.
            WorkError: the certificate does not fit C2PA's rules, or the file is damaged.
        """
        kind = _TYPES.get(suffix.lower())
        if kind is None:
            raise SettingError(f"{suffix or 'a file without suffix'} cannot be signed", hint="use PNG, JPEG, WebP or TIFF")
        created = {
            "action": "c2pa.created",
            "digitalSourceType": SOURCE_TYPE,
            "softwareAgent": {"name": model},
            "parameters": {"seed": str(seed)},
        }
        manifest = {
            "claim_generator_info": [{"name": "curate", "version": __version__}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }
        out = io.BytesIO()
        try:
            self._c2pa.Builder(json.dumps(manifest)).sign(self._signer, kind, io.BytesIO(data), out)
        except self._c2pa.C2paError as error:
            raise WorkError(f"an image of {model} could not be signed: {error}") from error
        return out.getvalue()


def make_signer(options: dict[str, Any]) -> Signer | None:
    """A signer, where the options name a certificate and its key.

    Raises:
        SettingError: only one of the two is named.
    """
    cert, key = options.get("sign_cert"), options.get("sign_key")
    if not cert and not key:
        return None
    if not (isinstance(cert, str) and isinstance(key, str)):
        raise SettingError(
            "signing takes a certificate and its key", hint="--option sign_cert=chain.pem --option sign_key=key.pem"
        )
    return Signer(Path(cert), Path(key))


def _read(path: Path, what: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the {what} {path} cannot be read: {error.strerror}") from None
    if b"-----BEGIN" not in data:
        raise InputError(f"{path} is no PEM file, and should hold the {what}")
    return data


def _algorithm(secret: bytes, path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(secret, password=None)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} holds no private key that can be read without a passphrase: {error}") from None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise SettingError(f"{path} holds a key of a kind that C2PA does not sign with", hint="P-256, P-384, P-521, Ed25519 or RSA")
