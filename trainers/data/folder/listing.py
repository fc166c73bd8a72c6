"""What lies in a folder of images: classes and files, before any picture is read."""

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import InputError
from models.printable import one_line, printable
from trainers.data.folder.names import IMAGE_SUFFIXES, LAYOUT, ignored, refuse_class_names

MAX_FILES = 2_000_000
MAX_CLASSES = 10_000
SHOWN = 10
_PARTS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"}
_KINDS = {
    stat.S_IFLNK: "is a link, and links are not followed; put the file itself here",
    stat.S_IFDIR: "is a folder; images lie directly in the folder of their class",
    stat.S_IFIFO: "is a pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}


@dataclass(frozen=True)
class ListedFile:
    """A plain file in the folder of a class, by its name there; times in nanoseconds."""

    label: int
    name: str
    bytes: int
    changed_ns: int
    inode_changed_ns: int


@dataclass(frozen=True)
class Unusable:
    """A file that cannot be used, its path below the folder as people read it, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class Listing:
    """A folder's classes, by name, and their files, by class and name.

    `folders` are the classes' folders as they are called on the disk; `class_names` as texts.
    """

    folder: Path
    folders: tuple[str, ...]
    class_names: tuple[str, ...]
    files: tuple[ListedFile, ...]
    unusable: tuple[Unusable, ...]

    def shown(self, file: ListedFile) -> str:
        """The file's path below the folder, as people read it."""
        return printable(f"{self.class_names[file.label]}/{file.name}")

    @property
    def checksum(self) -> str:
        """SHA-256 of the names, sizes and times of everything listed, wherever the folder lies."""
        digest = hashlib.sha256(json.dumps([os.fsencode(f).hex() for f in self.folders]).encode())
        for file in self.files:
            times = (file.bytes, file.changed_ns, file.inode_changed_ns)
            digest.update(json.dumps([file.label, os.fsencode(file.name).hex(), *times]).encode())
        for each in self.unusable:
            digest.update(json.dumps([each.path, each.why]).encode())
        return digest.hexdigest()


def list_folder(path: str | None) -> Listing:
    """What lies in `data.path`, in milliseconds for thousands of files.

    Raises:
        InputError: it is no folder of classes; where it looks like another layout, what to do.
    """
    folder = _folder(path)
    try:
        return _listed(folder)
    except OSError as error:
        named = printable(str(error.filename or folder))
        raise InputError(f"data.path: {named} cannot be read: {error.strerror}") from None


def looks_like_classes(folder: Path) -> bool:
    """Whether a folder seems to hold sub-folders of images, for a hint to those who did not say so.

    Raises OSError where it cannot be read.
    """
    inner = [entry for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]
    return any(_is_image(entry.name) for each in inner[:SHOWN] for entry in _entries(each.path))


def _folder(path: str | None) -> Path:
    if path is None:
        raise InputError(
            f"data.path: is missing: say where your images lie, -o data.path=FOLDER. {LAYOUT}"
        )
    shown = one_line(path)
    try:
        folder = Path(path).expanduser()
        if folder.is_dir():
            return folder.resolve()
        state = "is no folder" if folder.exists() else "does not exist"
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, no home
        raise InputError(f"data.path: {shown} cannot be read: {error}") from None
    hint = ". Unpack the archive first" if folder.is_file() else ""
    raise InputError(f"data.path: {shown} {state}{hint}. {LAYOUT}")


def _listed(folder: Path) -> Listing:
    unusable: list[Unusable] = []
    classes: list[os.DirEntry[str]] = []
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            classes.append(entry)
        elif entry.is_symlink() or _is_image(entry.name):
            unusable.append(Unusable(printable(entry.name), _beside(entry)))
    if not classes:
        _refuse_flat(folder, unusable)
    _refuse_many(folder, len(classes), MAX_CLASSES, "sub-folders")
    names = [unicodedata.normalize("NFC", entry.name) for entry in classes]
    contents = [_entries(entry.path) for entry in classes]
    _refuse_many(folder, sum(map(len, contents)), MAX_FILES, "files")
    _refuse_other_layouts(folder, names, contents)
    refuse_class_names(folder, names)
    files: list[ListedFile] = []
    for label, (name, entries) in enumerate(zip(names, contents, strict=True)):
        found, refused = _files(label, name, entries)
        if not found and not refused:
            raise InputError(
                f"data.path: {printable(str(folder))}: the class {name!r} is an empty folder; put "
                "images there, or remove it"
            )
        files += found
        unusable += refused
    folders = tuple(entry.name for entry in classes)
    return Listing(folder, folders, tuple(names), tuple(files), tuple(unusable))


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name, without what systems leave there."""
    with os.scandir(folder) as entries:
        return sorted(
            (e for e in entries if not ignored(e.name)), key=lambda e: os.fsencode(e.name)
        )


def _files(
    label: int, class_name: str, entries: Iterable[os.DirEntry[str]]
) -> tuple[list[ListedFile], list[Unusable]]:
    files, unusable = [], []
    for entry in entries:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            times = (status.st_mtime_ns, status.st_ctime_ns)
            files.append(ListedFile(label, entry.name, status.st_size, *times))
        else:
            why = _KINDS.get(stat.S_IFMT(status.st_mode), "is no plain file")
            unusable.append(Unusable(printable(f"{class_name}/{entry.name}"), why))
    return files, unusable


def _beside(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return _KINDS[stat.S_IFLNK]
    return "lies beside the folders of the classes and belongs to none"


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _refuse_many(folder: Path, found: int, most: int, what: str) -> None:
    if found > most:
        raise InputError(
            f"data.path: {printable(str(folder))} holds {found:,} {what}; at most {most:,} are read"
        )


def _refuse_flat(folder: Path, beside: Sequence[Unusable]) -> None:
    """Raises InputError for a folder without sub-folders."""
    holds = "images, but no sub-folder for each class" if beside else "no sub-folders of images"
    raise InputError(f"data.path: {printable(str(folder))} holds {holds}. {LAYOUT}")


def _refuse_other_layouts(
    folder: Path, names: Sequence[str], contents: Sequence[Sequence[os.DirEntry[str]]]
) -> None:
    """Raises InputError for folders of folders, and for a single class."""
    shown = printable(str(folder))
    deep = [any(e.is_dir(follow_symlinks=False) for e in entries) for entries in contents]
    if any(deep) and {name.lower() for name in names} <= _PARTS:
        inside = printable(str(folder / names[0]))
        raise InputError(
            f"data.path: {shown} holds parts ({_some(names)}) rather than classes. This program "
            "splits the images itself: point data.path at a folder with the classes of all parts, "
            f"or at one part alone, such as {inside}"
        )
    flat = [any(not e.is_dir(follow_symlinks=False) for e in entries) for entries in contents]
    if any(deep) and not any(flat):
        inside = printable(str(folder / names[deep.index(True)]))
        raise InputError(
            f"data.path: {shown} holds folders of folders ({_some(names)}). {LAYOUT} Should it be "
            f"{inside}?"
        )
    if len(names) == 1:
        raise InputError(
            f"data.path: {shown} has one class only ({printable(names[0])}); there must be two or "
            f"more to tell apart. {LAYOUT}"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:5])) + ", …" * (len(names) > 5)
