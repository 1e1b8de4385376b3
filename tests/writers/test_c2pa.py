"""Signed content credentials: what C2PA's own reader finds in exported files."""

from __future__ import annotations

import datetime
import io
import json
from pathlib import Path
from typing import Any

import pytest

from curate.errors import InputError, SettingError, WorkError
from curate.plugins import load
from curate.testing.export_rows import export_row, info_of, picture
from curate.writers.marking.c2pa import Signer, make_signer
from curate.writers.marking.iptc import SOURCE_TYPE, read_mark

from .test_marks import pixels

c2pa = pytest.importorskip("c2pa", reason="the extra c2pa is not installed")


def make_identity(folder: Path, *, usage: bool = True) -> tuple[Path, Path]:
    """A chain of a root and a signer, and the signer's key; without `usage` it breaks C2PA's certificate profile."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ours")])

    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def build(subject: str, public: Any, *, ca: bool) -> x509.CertificateBuilder:
        flags = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject)).issuer_name(named("root")).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + 90 * day)
            .add_extension(x509.BasicConstraints(ca, None), True)
            .add_extension(x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **flags), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
        )  # fmt: skip

    leaf = build("signer", key.public_key(), ca=False)
    if usage:
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    chain = [
        leaf.sign(root_key, hashes.SHA256()),
        build("root", root_key.public_key(), ca=True).sign(root_key, hashes.SHA256()),
    ]
    pem = serialization.Encoding.PEM
    (folder / "chain.pem").write_bytes(b"".join(c.public_bytes(pem) for c in chain))
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *form))
    return folder / "chain.pem", folder / "key.pem"


def read(data: bytes, kind: str) -> dict[str, Any]:
    return json.loads(c2pa.Reader(kind, io.BytesIO(data)).json())


@pytest.mark.parametrize(("format_", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif")])
def test_an_exported_image_is_signed_marked_and_unchanged_in_its_pixels(tmp_path: Path, format_: str, suffix: str) -> None:
    cert, key = make_identity(tmp_path)
    real = export_row(1, media=picture(1, format_), suffix=suffix, label="a")
    drawn = export_row(2, media=picture(2, format_), suffix=suffix, label="a", model="m-1", seed=2**40)
    info = info_of([real, drawn], "image", sign_cert=str(cert), sign_key=str(key))
    (tmp_path / "out").mkdir()
    written = load("writers", "imagefolder")().write(iter([real, drawn]), tmp_path / "out", info)
    assert "1 synthetic images carry signed content credentials (C2PA)" in written.notes
    files = {path.stem.lstrip("0"): path.read_bytes() for path in (tmp_path / "out").rglob(f"*{suffix}")}
    assert files["1"] == real.media
    assert pixels(files["2"]) == pixels(drawn.media or b"")
    assert read_mark(files["2"]) == {"digital_source_type": SOURCE_TYPE, "model": "m-1", "seed": 2**40}
    found = read(files["2"], f"image/{format_.lower()}")
    assert found["validation_state"] == "Valid"
    (action,) = found["manifests"][found["active_manifest"]]["assertions"][0]["data"]["actions"]
    assert (action["action"], action["digitalSourceType"], action["softwareAgent"]["name"]) == (
        "c2pa.created",
        SOURCE_TYPE,
        "m-1",
    )
    assert action["parameters"]["seed"] == str(2**40)


def test_a_changed_pixel_breaks_the_signature(tmp_path: Path) -> None:
    signed = Signer(*make_identity(tmp_path)).sign(picture(3), ".png", model="m", seed=1)
    place = signed.rindex(b"IDAT") + 8
    broken = signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :]
    assert read(broken, "image/png")["validation_state"] == "Invalid"


def test_what_cannot_sign_is_refused_before_a_row_is_written(tmp_path: Path) -> None:
    cert, key = make_identity(tmp_path)
    with pytest.raises(SettingError, match="its key"):
        make_signer({"sign_cert": str(cert)})
    with pytest.raises(InputError, match="cannot be read"):
        Signer(tmp_path / "none.pem", key)
    with pytest.raises(InputError, match="no private key"):
        Signer(cert, cert)
    with pytest.raises(SettingError, match="cannot be signed"):
        Signer(cert, key).sign(b"GIF89a", ".gif", model="m", seed=1)
    (tmp_path / "weak").mkdir()
    with pytest.raises((InputError, WorkError), match="sign"):
        Signer(*make_identity(tmp_path / "weak", usage=False)).sign(picture(3), ".png", model="m", seed=1)
    assert make_signer({}) is None
