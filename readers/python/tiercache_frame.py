"""Reads the values that caches of tiercache keep in Redis. docs/format.md describes them.

    frames = parse(client.get("tc:users:42"))
    epoch, count = client.get("tc:users!era{users}"), client.get("tc:users!count{users}")
    for f in frames:
        tags = [client.get("tc:users!tag:" + tag) for tag in f.tags]
        if f.codec == "json" and f.state(now_ms, epoch, count, tags) == "fresh":
            return json.loads(f.payload)

now_ms is Redis's time, by its command TIME. Python 3.9 or newer; nothing but the standard library.
"""
from dataclasses import dataclass
from typing import List, Optional, Tuple

MAGIC, LEASE = b"\xc1tc\x01", b"\xc1tl"
_TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    _TABLE.append(_n)


class NotAFrame(ValueError):
    """The bytes were written by another program, or are damaged."""


@dataclass(frozen=True)
class Frame:
    codec: str
    payload: bytes
    absent: bool  # the source has no value, and the payload is empty
    expired: bool  # an Expire has made it stale
    schema: int  # 0: none
    created_ms: int
    fresh_for_ms: int
    took_ms: int
    windows_ms: Optional[Tuple[int, int, int]]  # RefreshAfter, StaleWhileRevalidate, StaleIfError; None: the policy's
    epoch: bytes
    seq: int
    tags: List[str]

    def state(self, now_ms: int, epoch: Optional[bytes], count: Optional[bytes], tags: List[Optional[bytes]]) -> str:
        """Returns "fresh", "stale" or "invalid". epoch, count and tags are the values of the keys of invalidations; None: there is none."""
        if epoch is None or epoch[:8] != self.epoch or _number(count) is None:
            return "invalid"
        expiry = _number(epoch[8:] or b"0")
        if expiry is None:
            return "invalid"
        for record in tags:
            digits, _, more = (record or b"")[8:].partition(b"~")
            seq, later = _number(digits), _number(more if b"~" in (record or b"")[8:] else b"0")
            if seq is None or later is None or record[:8] != self.epoch or self.seq < seq:
                return "invalid"
            expiry = max(expiry, later)
        if not self.expired and self.seq >= expiry and max(0, now_ms - self.created_ms) < self.fresh_for_ms:
            return "fresh"
        return "invalid" if self.absent else "stale"


def parse(b: bytes) -> List[Frame]:
    """Returns the frames of a key, one of each release, the last written first; none for a lease: a process loads the value."""
    if b.startswith(LEASE):
        return []
    frames: List[Frame] = []
    while b or not frames:
        try:
            f, b = _frame(b)
        except (IndexError, UnicodeDecodeError) as e:
            raise NotAFrame("a damaged frame") from e
        frames.append(f if not frames or f.expired else Frame(**{**f.__dict__, "expired": frames[0].expired}))
    return frames


def _frame(b: bytes) -> Tuple[Frame, bytes]:
    if not b.startswith(MAGIC) or len(b) < 18:
        raise NotAFrame("another program's value")
    flags, schema, at, end = b[17], 0, 18, len(b)
    if flags & 4:
        schema, end = int.from_bytes(b[18:26], "big"), int.from_bytes(b[26:30], "big")
        at = 30
    if not at <= end <= len(b) or _crc32c(b[9:end]) != int.from_bytes(b[5:9], "big") or flags > 7 or (flags & 4 and schema == 0):
        raise NotAFrame("a damaged frame")
    rest, b = b[end:], b[:end]

    def uvarint() -> int:
        nonlocal at
        v = shift = 0
        while True:
            byte, at = b[at], at + 1
            v |= (byte & 0x7F) << shift
            if byte < 0x80:
                return v
            shift += 7

    def take(n: int) -> bytes:
        nonlocal at
        if at + n > end:
            raise IndexError
        at += n
        return b[at - n : at]

    if flags & 4:
        uvarint(), uvarint()  # the oldest load of those that follow, and how long this is kept
    codec = take(uvarint()).decode()
    created, fresh_for, took = uvarint(), uvarint(), uvarint()
    windows = (uvarint(), uvarint(), uvarint()) if flags & 2 else None
    epoch, seq = take(8), uvarint()
    tags = [take(uvarint()).decode() for _ in range(uvarint())]
    return Frame(codec, b[at:], bool(flags & 1), b[4] != 0, schema, created, fresh_for, took, windows, epoch, seq, tags), rest


def _number(digits: Optional[bytes]) -> Optional[int]:
    return int(digits) if digits and digits.isdigit() else None


def _crc32c(b: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in b:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
