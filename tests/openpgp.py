"""Signs archives for tests: just enough of OpenPGP (RFC 4880) to make a key and sign a text, without GnuPG."""

from __future__ import annotations

import base64
import hashlib
import math
import secrets
import struct
from dataclasses import dataclass
from functools import cached_property

RSA, SHA256, BITS = 1, 8, 2048
EXPONENT = 65537
BORN = 1_700_000_000  # seconds since 1970: when every key and signature was made
OF_TEXT, OF_NAME = 0x01, 0x13
# Subpackets of a signature (RFC 4880, 5.2.3.1).
CREATED, ISSUER, FLAGS, FINGERPRINT = 2, 16, 27, 33
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # DigestInfo, RFC 8017, 9.2


@dataclass(frozen=True)
class SigningKey:
    """An RSA key with a name."""

    name: str
    modulus: int
    private: int

    @cached_property
    def keyring(self) -> bytes:
        """The public key with its name, as a keyring file."""
        name = self.name.encode()
        named = self._material + b"\xb4" + struct.pack(">I", len(name)) + name
        signature = self._sign(OF_NAME, named, _subpacket(FLAGS, b"\x03"))
        return _packet(6, self._public) + _packet(13, name) + _packet(2, signature)

    def sign_text(self, text: str) -> str:
        """Return a text with its signature inline; no line of it begins with a dash or ends in blanks."""
        lines = text.rstrip("\n").split("\n")
        assert not any(line.startswith("-") or line != line.rstrip() for line in lines)
        signature = base64.b64encode(_packet(2, self._sign(OF_TEXT, "\r\n".join(lines).encode()))).decode()
        wrapped = "\n".join(signature[start : start + 64] for start in range(0, len(signature), 64))
        return (
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
            + "\n".join(lines)
            + f"\n-----BEGIN PGP SIGNATURE-----\n\n{wrapped}\n-----END PGP SIGNATURE-----\n"
        )

    @cached_property
    def _public(self) -> bytes:
        return b"\x04" + struct.pack(">IB", BORN, RSA) + _number(self.modulus) + _number(EXPONENT)

    @cached_property
    def _material(self) -> bytes:
        return b"\x99" + struct.pack(">H", len(self._public)) + self._public

    @cached_property
    def _fingerprint(self) -> bytes:
        return hashlib.sha1(self._material).digest()  # noqa: S324 - the format's

    def _sign(self, kind: int, data: bytes, more: bytes = b"") -> bytes:
        """Return the body of a signature packet, version 4."""
        hashed = _subpacket(CREATED, struct.pack(">I", BORN)) + _subpacket(FINGERPRINT, b"\x04" + self._fingerprint)
        hashed += more
        head = bytes([4, kind, RSA, SHA256]) + struct.pack(">H", len(hashed)) + hashed
        digest = hashlib.sha256(data + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        unhashed = _subpacket(ISSUER, self._fingerprint[-8:])
        info = SHA256_PREFIX + digest
        padded = b"\x00\x01" + b"\xff" * (BITS // 8 - len(info) - 3) + b"\x00" + info
        number = pow(int.from_bytes(padded, "big"), self.private, self.modulus)
        return head + struct.pack(">H", len(unhashed)) + unhashed + digest[:2] + _number(number)


def make_key(name: str) -> SigningKey:
    """Make a new key."""
    while True:
        first, second = _find_prime(), _find_prime()
        order = math.lcm(first - 1, second - 1)
        if (first * second).bit_length() == BITS and math.gcd(EXPONENT, order) == 1:
            return SigningKey(name, first * second, pow(EXPONENT, -1, order))


def _find_prime() -> int:
    while True:
        number = secrets.randbits(BITS // 2) | (3 << (BITS // 2 - 2)) | 1
        if all(number % small for small in range(3, 1000, 2)) and _is_probably_prime(number):
            return number


def _is_probably_prime(number: int) -> bool:
    """Test with Miller and Rabin's method; 12 rounds are plenty for a random number of this size."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(12):
        power = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def _number(value: int) -> bytes:
    return struct.pack(">H", value.bit_length()) + value.to_bytes((value.bit_length() + 7) // 8, "big")


def _subpacket(kind: int, body: bytes) -> bytes:
    return bytes([len(body) + 1, kind]) + body


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body
