"""Names in a folder of images: which are passed by, and which may be those of classes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from models.errors import InputError
from models.printable import printable

LAYOUT = "Allowed: a folder with a sub-folder of images for each class, FOLDER/CLASS/IMAGE."

IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif"),
    *(".tif", ".tiff", ".heic", ".heif", ".avif"),
}
"""By which files beside the classes are told from notes; in classes every file is tried."""

_LEFT_BY_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"}


def ignored(name: str) -> bool:
    """Whether a file or folder is hidden, or is what operating systems leave behind."""
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def refuse_class_names(folder: Path, names: Sequence[str]) -> None:
    """Raises InputError for names that could not be shown in reports and predictions."""
    where = f"data.path: {printable(str(folder))}"
    for name in names:
        if not name.isprintable() or not name.strip():
            raise InputError(
                f"{where}: '{printable(name)}' cannot be the name of a class, which is shown in "
                "reports and predictions: rename the folder to printable UTF-8 text"
            )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{where}: two folders are called {name!r} once their accents are written alike; "
            "rename one"
        )
