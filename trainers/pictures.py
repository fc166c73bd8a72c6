"""Files of pictures as a network is given them: decoded as an image folder's are."""

import stat
from pathlib import Path

from models.errors import InputError
from models.printable import one_line
from trainers.data.facts import Pixels
from trainers.data.folder.picture import NoPictureError, decode

MAX_BYTES = 1 << 30


def read_picture(path: Path, size: int) -> Pixels:
    """The picture in a file, uint8 [size, size, 3]; see `trainers.data.folder.picture.decode`.

    Raises InputError for what is no picture, or none that can be read whole.
    """
    shown = one_line(str(path), 300)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe may never answer
            raise InputError(f"{shown}: is no file")
        if found.st_size > MAX_BYTES:
            raise InputError(f"{shown}: {found.st_size:,} bytes are more than a picture has")
        return decode(path.read_bytes(), size)
    except FileNotFoundError:
        message = "there is no such file"
    except (OSError, ValueError) as error:  # NoPictureError among them
        reason = getattr(error, "strerror", None) or str(error)
        message = reason if isinstance(error, NoPictureError) else f"cannot be read: {reason}"
    raise InputError(f"{shown}: {one_line(message, 200)}")
