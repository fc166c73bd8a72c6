"""All pictures of a folder, read and decoded once, in as many threads as there are cores."""

import errno
import hashlib
import os
import stat
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.printable import one_line
from trainers.data.facts import Notify, Told
from trainers.data.folder.listing import ListedFile, Listing
from trainers.data.folder.picture import NoPictureError, decode

MAX_BYTES = 256 * 1024**2
TOLD_EVERY_S = 5.0
_AT_A_TIME = 1024


@dataclass(frozen=True)
class Read:
    """What became of a file: the SHA-256 of its bytes, and why it gave no picture, if it did not.

    `sha256` is empty where it could not be read at all.
    """

    file: ListedFile
    sha256: str
    why: str = ""


def decode_all(listing: Listing, side: int, pixels: Path, told: Told) -> list[Read]:
    """Decode every listed file to a square of `side` pixels, into the new file `pixels`.

    Its k-th [side, side, 3] bytes are the k-th file's; zeros where that gives no picture. Pillow
    decodes without Python's lock, so threads use all cores. Raises OSError where `pixels` cannot
    be written.
    """
    cores = len(os.sched_getaffinity(0))
    done: list[Read] = []
    handle = os.open(pixels, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.ftruncate(handle, len(listing.files) * 3 * side**2)  # also where the last gives no picture
    pool = ThreadPoolExecutor(cores, thread_name_prefix="decode")
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's, on files that are odd
            work = partial(_decode_one, listing, side, handle)
            for start in range(0, len(listing.files), _AT_A_TIME):
                end = min(start + _AT_A_TIME, len(listing.files))
                for read in pool.map(work, range(start, end)):
                    done.append(read)
                    told(len(done), len(listing.files))
        os.fsync(handle)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # before the file they write to is closed
        os.close(handle)
    return done


def _decode_one(listing: Listing, side: int, handle: int, number: int) -> Read:
    file = listing.files[number]
    try:
        content = read_plain(listing.folder / listing.folders[file.label] / file.name)
    except NoPictureError as error:
        return Read(file, "", str(error))
    except OSError as error:
        return Read(file, "", f"cannot be read: {error.strerror}")
    checksum = hashlib.sha256(content).hexdigest()
    try:
        picture = decode(content, side)
    except NoPictureError as error:
        return Read(file, checksum, one_line(str(error), 200))
    offset = number * picture.nbytes
    if os.pwrite(handle, picture.tobytes(), offset) != picture.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Read(file, checksum)


def read_plain(path: Path) -> bytes:
    """The bytes of a plain file.

    Whatever came into its place since it was listed: a link is not followed, and a pipe not waited
    for. Raises OSError, and NoPictureError where it is none or larger than `MAX_BYTES`.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NoPictureError("is no plain file")
        if status.st_size > MAX_BYTES:
            megabytes = status.st_size // 1024**2
            most = MAX_BYTES // 1024**2
            raise NoPictureError(f"has {megabytes:,} MB; at most {most} are read")
        return file.read(MAX_BYTES + 1)


class Lines:
    """Tells every few seconds, in a line, how many images are decoded."""

    def __init__(self, notify: Notify, clock: Callable[[], float] = time.monotonic) -> None:
        self._notify, self._clock = notify, clock
        self._begun = self._last = clock()

    def __call__(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        now = self._clock()
        if now - self._last < TOLD_EVERY_S or done == total:
            return
        self._last = now
        left = (now - self._begun) / done * (total - done)
        bar = "█" * (20 * done // total)
        self._notify(f"  {bar:·<20} {done:,} of {total:,} images decoded, about {left:.0f} s left")
