"""Marks synthetic images: IPTC's `DigitalSourceType` as XMP, put into the file without touching its pixels.

PNG (iTXt chunk), JPEG (APP1 segment), WebP (XMP chunk) and classic TIFF (tag 700) are edited as containers: no pixel is
decoded or encoded again. Where the file has XMP already, the mark joins it.

Source: XMP specification part 3 (storage in files); IPTC Photo Metadata Standard 2025.1 (`AISystemUsed`).
"""

from __future__ import annotations

import html
import re
import struct
import zlib
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from curate.errors import SettingError, WorkError

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MARKABLE = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"})

_OURS = "urn:curate:xmp:1#"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP = b"XML:com.adobe.xmp\0"
_JPEG_LONGEST = 65533 - len(_JPEG_XMP)
_TIFF_XMP = 700


def mark_synthetic(data: bytes, suffix: str, *, model: str, seed: int) -> bytes:
    """Return the image file with a mark that says a model drew it, which model, and with which seed.

    The pixels stay as they are, to the bit, and marking twice changes nothing.

    Args:
        data: an encoded PNG, JPEG, WebP or TIFF.
        suffix: the file's suffix, one of `MARKABLE`; what is in `data` decides how it is marked.

    Raises:
        SettingError: files of this suffix cannot carry the mark.
        WorkError: `data` is damaged, or of another kind.
    """
    if suffix.lower() not in MARKABLE:
        raise SettingError(f"{suffix or 'a file without suffix'} cannot carry a mark", hint="use PNG, JPEG, WebP or TIFF")
    if read_mark(data) == {"digital_source_type": SOURCE_TYPE, "model": model, "seed": seed}:
        return data
    kind = _kind(data)
    if kind is None:
        raise WorkError(f"a {suffix} file to be marked is no PNG, JPEG, WebP or TIFF: it starts with {data[:8]!r}")
    try:
        packet = _packet(_read_xmp(kind, data), model=model, seed=seed)
        return _WRITE[kind](data, packet)
    except (struct.error, IndexError) as error:
        raise WorkError(f"a {suffix} file to be marked is damaged: {error}") from error


def read_mark(data: bytes) -> dict[str, object] | None:
    """Return what the file's mark says, or None where it has none.

    Returns:
        `digital_source_type`, and where our own mark tells them `model` and `seed`.
    """
    kind = _kind(data)
    try:
        xmp = _read_xmp(kind, data) if kind else None
    except (struct.error, IndexError):
        return None
    text = (xmp or b"").decode("utf-8", "replace")
    source = _attribute(text, "DigitalSourceType")
    if source is None:
        return None
    mark: dict[str, object] = {"digital_source_type": source}
    if (seed := _attribute(text, "curate:seed")) is not None and seed.lstrip("-").isdigit():
        mark |= {"model": _attribute(text, "AISystemUsed"), "seed": int(seed)}
    return mark


def _attribute(xmp: str, name: str) -> str | None:
    match = re.search(rf"""{name}\s*(?:=\s*"([^"]*)"|=\s*'([^']*)'|>([^<]*)<)""", xmp)
    return html.unescape(next(group for group in match.groups() if group is not None)) if match else None


def _packet(old: bytes | None, *, model: str, seed: int) -> bytes:
    """Join our description to the file's own XMP, or make a packet of it alone."""
    # Characters that XML 1.0 cannot hold would make the whole packet unreadable.
    model = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", model)
    newlines = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", '"': "&quot;"}
    ours = (
        f'<rdf:Description rdf:about="" xmlns:curate="{_OURS}"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"'
        f' Iptc4xmpExt:AISystemUsed={quoteattr(model, newlines)} curate:seed="{seed}"/>'
    ).encode()
    if old and b"</rdf:RDF>" in old:
        kept = re.sub(rb'<rdf:Description [^<]*?xmlns:curate="' + _OURS.encode() + rb'"[^<]*?/>', b"", old)
        kept = re.sub(rb"""\w+:DigitalSourceType\s*=\s*("[^"]*"|'[^']*')""", b"", kept)
        kept = re.sub(rb"<(\w+:DigitalSourceType)\b[^>]*>[^<]*</\1>", b"", kept)
        # First of all descriptions, so that a reader that stops at one finds ours.
        return re.sub(rb"(<rdf:RDF\b[^>]*>)", lambda found: found[1] + ours, kept, count=1)
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' + ours + b"</rdf:RDF></x:xmpmeta>"
        b'<?xpacket end="w"?>'
    )


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "tiff" if data[:4] in (b"II*\0", b"MM\0*") else None


def _read_xmp(kind: str, data: bytes) -> bytes | None:
    if kind == "png":
        found = (body for name, body in _png_chunks(data) if _is_png_xmp(name, body))
        # keyword NUL, compression flag and method, language NUL, translated keyword NUL, text
        return next((body[len(_PNG_XMP) + 2 :].split(b"\0", 2)[2] for body in found), None)
    if kind == "jpeg":
        segments = (data[start:end] for marker, start, end in _jpeg_segments(data) if marker == 0xE1)
        return next((s[4 + len(_JPEG_XMP) :] for s in segments if s[4:].startswith(_JPEG_XMP)), None)
    if kind == "webp":
        return next((body for name, body in _webp_chunks(data) if name == b"XMP "), None)
    order, _, entries, _ = _tiff_directory(data)
    for entry in entries:
        tag, type_, count, offset = struct.unpack(order + "HHII", entry)
        if tag == _TIFF_XMP and type_ in (1, 7) and count > 4:
            return data[offset : offset + count]
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _is_png_xmp(name: bytes, body: bytes) -> bool:
    return name == b"iTXt" and body.startswith(_PNG_XMP) and body[len(_PNG_XMP)] == 0


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _mark_png(data: bytes, packet: bytes) -> bytes:
    out, at = [data[:8]], 8
    for name, body in _png_chunks(data):
        end = at + 12 + len(body)
        if not _is_png_xmp(name, body):
            out.append(data[at:end])
        if name == b"IHDR":
            out.append(_png_chunk(b"iTXt", _PNG_XMP + b"\0\0\0\0" + packet))
        at = end
    if len(out) < 3 or not out[1][4:8] == b"IHDR":
        raise WorkError("a PNG file to be marked does not start with its header")
    return b"".join([*out, data[at:]])


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of the application and comment segments before the image."""
    at = 2
    while data[at] == 0xFF:
        start = at
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            return
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
        yield marker, start, at


def _mark_jpeg(data: bytes, packet: bytes) -> bytes:
    if len(packet) > _JPEG_LONGEST:
        raise WorkError(f"the mark and the JPEG's own XMP take {len(packet)} bytes, and a segment holds {_JPEG_LONGEST}")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(_JPEG_XMP) + len(packet)) + _JPEG_XMP + packet
    head: list[bytes] = []
    at, place = 2, 0
    for marker, start, end in _jpeg_segments(data):
        at = end
        if marker == 0xE1 and data[start + 4 : end].startswith(_JPEG_XMP):
            continue
        head.append(data[start:end])
        if marker in (0xE0, 0xE1) and place == len(head) - 1:
            place += 1  # after JFIF and Exif, which have to come first
    return b"".join([data[:2], *head[:place], segment, *head[place:], data[at:]])


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)


def _mark_webp(data: bytes, packet: bytes) -> bytes:
    chunks = [(name, body) for name, body in _webp_chunks(data) if name != b"XMP "]
    name, body = chunks[0]
    if name == b"VP8X":
        chunks[0] = (name, bytes([body[0] | 0x04]) + body[1:])
    else:
        chunks.insert(0, (b"VP8X", _webp_header(name, body)))
    chunks.append((b"XMP ", packet))
    payload = b"WEBP" + b"".join(n + struct.pack("<I", len(b)) + b + b"\0" * (len(b) & 1) for n, b in chunks)
    return b"RIFF" + struct.pack("<I", len(payload)) + payload


def _webp_header(name: bytes, body: bytes) -> bytes:
    """Make the extended header of a simple file: the XMP flag, whether it has alpha, its width and height less one."""
    alpha = 0
    if name == b"VP8L":
        bits = struct.unpack_from("<I", body, 1)[0]
        width, height, alpha = bits & 0x3FFF, (bits >> 14) & 0x3FFF, (bits >> 28) & 1
    else:
        wide, high = struct.unpack_from("<HH", body, 6)
        width, height = (wide & 0x3FFF) - 1, (high & 0x3FFF) - 1
    found: bytes = bytes([0x04 | (0x10 if alpha else 0), 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return found


def _tiff_directory(data: bytes) -> tuple[str, int, list[bytes], bytes]:
    """Return the byte order, the first directory's offset, its 12-byte entries and the pointer to the next directory."""
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, at)[0]
    end = at + 2 + 12 * count
    if end + 4 > len(data):
        raise IndexError("the first directory is cut off")
    return order, at, [data[p : p + 12] for p in range(at + 2, end, 12)], data[end : end + 4]


def _mark_tiff(data: bytes, packet: bytes) -> bytes:
    """Append the packet and a copy of the first directory that points to it; all offsets into the old bytes stay true."""
    order, _, entries, following = _tiff_directory(data)
    place = len(data) + (len(data) & 1)
    directory = place + len(packet) + (len(packet) & 1)
    entries = [entry for entry in entries if struct.unpack(order + "H", entry[:2])[0] != _TIFF_XMP]
    entries.append(struct.pack(order + "HHII", _TIFF_XMP, 1, len(packet), place))
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2])[0])
    out = bytearray(data).ljust(place, b"\0") + packet
    out = out.ljust(directory, b"\0") + struct.pack(order + "H", len(entries)) + b"".join(entries) + following
    struct.pack_into(order + "I", out, 4, directory)
    return bytes(out)


_WRITE = {"png": _mark_png, "jpeg": _mark_jpeg, "webp": _mark_webp, "tiff": _mark_tiff}
