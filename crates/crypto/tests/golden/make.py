"""Writes the frozen vectors of format version 1, by hand and with another AES-GCM than the crate's.

Run once, when the format was fixed. Never run it again over files that were released: they are the promise that
today's blobs open tomorrow.
"""
import hashlib
import hmac
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).parent / "v1"
TENANT, BLOB, PARENT, CHILD = (bytes([n]) * 16 for n in (0x11, 0x22, 0x33, 0x44))
KEY = bytes(range(1, 33))
KEY_ID = bytes(range(0xA0, 0xA8))
NONCE = bytes(range(0x50, 0x5C))
INNER = bytes(range(0x80, 0xA0))
INNER_ID = bytes(range(0xB0, 0xB8))


def text(data):
    return struct.pack(">I", len(data)) + data


def u32(n):
    return struct.pack(">I", n)


def u64(n):
    return struct.pack(">Q", n)


PLACES = {
    "blob": b"\x01" + TENANT + BLOB,
    "data_key": b"\x02" + TENANT + text(b"secret") + text("team/größe".encode()) + u64(7) + BLOB,
    "entry": b"\x03" + TENANT + u32(5) + u64(6),
    "record": b"\x04" + TENANT + u32(5) + b"\x09" + PARENT + CHILD,
    "intent": b"\x05" + TENANT + text(b"intent key"),
    "volatile": b"\x06" + TENANT + text(b"volatile key"),
    "ring": b"\x07" + TENANT + b"\x03" + INNER_ID,
    "access_row": b"\x08" + TENANT + u64(5) + u64(6),
    "seal_root": b"\x09" + INNER_ID,
}


def seal(plain, place, content=0, version=1, key=KEY, key_id=KEY_ID, nonce=NONCE):
    header = b"\xa5" + bytes([version]) + key_id + nonce
    return header + AESGCM(key).encrypt(nonce, plain, header + bytes([content]) + PLACES[place])


def write(name, place, expect, blob, plain=None):
    lines = [f"place = {place}", f"expect = {expect}", f"blob = {blob.hex()}"]
    if plain is not None:
        lines.insert(2, f"plain = {plain.hex()}")
    (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n")


for place in PLACES:
    write(f"valid_at_{place}", place, "opens", seal(b"value", place), b"value")
write("valid_empty", "blob", "opens", seal(b"", "blob"), b"")
write("valid_long", "blob", "opens", seal(bytes(range(256)) * 4, "blob"), bytes(range(256)) * 4)
CODES = {"seal": 1, "root": 2, "tenant": 3, "data": 4, "log": 5, "state": 6, "name": 7, "checkpoint": 8}
for name, code in CODES.items():
    write(f"valid_wrapped_{name}_key", "ring", f"unwraps {name}", seal(INNER_ID + INNER, "ring", code))
good = seal(b"value", "blob")
write("invalid_empty", "blob", "Truncated", b"")
write("invalid_cut_in_header", "blob", "Truncated", good[:20])
write("invalid_cut_before_tag", "blob", "Truncated", good[: 22 + 15])
write("invalid_cut_in_tag", "blob", "Integrity", good[:-1])
write("invalid_longer", "blob", "Integrity", good + b"\x00")
write("invalid_json", "blob", "NotABlob", b'{"value":"plain text where a blob should be, long enough to be one"}')
write("invalid_version_0", "blob", "NotABlob", seal(b"value", "blob", version=0))
write("invalid_version_2", "blob", "TooNew 2", seal(b"value", "blob", version=2))
write("invalid_other_key_id", "blob", "UnknownKey", seal(b"value", "blob", key_id=INNER_ID))
write("invalid_other_key", "blob", "Integrity", seal(b"value", "blob", key=INNER))
write("invalid_other_place", "blob", "Integrity", seal(b"value", "intent"))
write("invalid_wrapped_key_as_value", "blob", "Integrity", seal(INNER_ID + INNER, "blob", 4))
write("invalid_changed_tag", "blob", "Integrity", good[:-1] + bytes([good[-1] ^ 1]))
write("invalid_value_as_wrapped_key", "ring", "unwraps not", seal(INNER_ID + INNER, "ring", 0))
write("invalid_wrapped_for_other_purpose", "ring", "unwraps not", seal(INNER_ID + INNER, "ring", 5))
write("invalid_wrapped_short_key", "ring", "unwraps not", seal(INNER_ID + INNER[:-1], "ring", 4))
write("invalid_wrapped_zero_key", "ring", "unwraps not", seal(INNER_ID + bytes(32), "ring", 4))
name_id = hmac.new(KEY, TENANT + b"team", hashlib.sha256).digest()[:16]
(HERE / "name_id.txt").write_text(f"id = {name_id.hex()}\n")
