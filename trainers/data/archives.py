"""Reads members of a .tar.gz as streams: nothing is extracted, whatever the archive says."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from models.errors import InputError

OTHER_MEMBER_BYTES = 1 << 20
MEMBERS = 1000


class DamagedArchiveError(Exception):
    """The bytes are no complete .tar.gz; the message is the decompressor's."""


def read_members(path: Path, limits: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of every member named in `limits`, in the archive's order.

    `limits` gives the most bytes a member may have. Other members are skipped unread if small.

    Raises:
        InputError: a member is a link, a device, named outside the archive, too large, given
            twice, or missing.
        DamagedArchiveError: the file is truncated or altered.
    """
    missing = set(limits)
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as unzipped:
            bounded = _Bounded(unzipped, path, sum(limits.values()) + 16 * OTHER_MEMBER_BYTES)
            # Stream mode ("r|") reads forward only, so the bound above holds for every byte.
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                for member in _safe_members(archive, path, limits):
                    stream = archive.extractfile(member)
                    if stream is None or member.name not in limits:
                        continue
                    if member.name not in missing:
                        raise InputError(f"{path}: holds {member.name!r} twice; refused")
                    missing.remove(member.name)
                    yield member.name, stream.read()
            _read_to_the_end(bounded)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DamagedArchiveError(str(error) or type(error).__name__) from error
    if missing:
        raise InputError(f"{path}: lacks {', '.join(sorted(missing))}")


def first_member(path: Path) -> str:
    """The name of the first member, which tells one layout from another.

    Raises:
        DamagedArchiveError: the file is no .tar.gz.
    """
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as unzipped:
            bounded = _Bounded(unzipped, path, OTHER_MEMBER_BYTES)
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                member = archive.next()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DamagedArchiveError(str(error) or type(error).__name__) from error
    return member.name if member is not None else ""


def _safe_members(
    archive: tarfile.TarFile, path: Path, limits: Mapping[str, int]
) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(archive):
        reason = _refusal(member, limits.get(member.name, OTHER_MEMBER_BYTES))
        if number >= MEMBERS:
            reason = f"is one of more than {MEMBERS} members"
        if reason:
            raise InputError(
                f"{path}: member {member.name!r} {reason}; refused, and nothing was extracted"
            )
        yield member


def _refusal(member: tarfile.TarInfo, limit: int) -> str:
    """Why this member makes the whole archive suspect; empty if it does not."""
    name = PurePosixPath(member.name)
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        return "is named outside the archive"
    if not (plain or member.isdir()):
        return "is a link, a device or another special file"
    if member.size > limit:
        return f"has {member.size} bytes where at most {limit} are expected"
    return ""


def _read_to_the_end(stream: io.RawIOBase) -> None:
    # tarfile stops at the end marker; the gzip checksum comes after it.
    while stream.read(1 << 16):
        pass


class _Bounded(io.RawIOBase):
    """A reader that refuses to give more than `limit` bytes: a bomb ends here, headers included."""

    def __init__(self, source: IO[bytes] | gzip.GzipFile, path: Path, limit: int) -> None:
        self._source = source
        self._path = path
        self._limit = limit
        self._given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(min(size, 1 << 16) if size >= 0 else 1 << 16)
        self._given += len(data)
        if self._given > self._limit:
            raise InputError(
                f"{self._path}: unpacks to more than the {self._limit} bytes expected; refused"
            )
        return data
