"""The bytes of a NIfTI file: found, unpacked, and the header and voxel array in them."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import igzip_lib

from willis.errors import BadInputError
from willis.units import counted

SINGLE_FILE_SUFFIXES = (".nii", ".nii.gz")
GZIP_MAGIC = b"\x1f\x8b"
GZIP_ERROR = cast("type[Exception]", igzip_lib.error)
GZIP_MAX_RATIO = 1032  # deflate can't pack tighter
GZIP_PIECE_BYTES = 1 << 18
SINGLE_FILE_OFFSET = 352  # bytes before the voxels at least: header and extension flag
_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # by the size that is the file's first number
_COLOUR = {128: "RGB24", 2304: "RGBA32"}
_COMPLEX = {32: "complex64", 1792: "complex128", 2048: "complex256"}


@dataclass(frozen=True)
class NiftiFile:
    """An opened NIfTI file: its header and the bytes that hold its voxels.

    Parameters
    ----------
    path
        The file that was asked for.
    header
        nibabel's NIfTI-1 or NIfTI-2 header, unchecked.
    voxels
        From the first voxel on.
    """

    path: Path
    header: Any
    voxels: memoryview

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides as the header gives them, without trailing sides of 1 beyond the third."""
        shape = [int(n) for n in self.header["dim"][1 : 1 + int(self.header["dim"][0])]]
        while len(shape) > 3 and shape[-1] == 1:
            shape.pop()
        return tuple(shape)


def open_nifti(path: Path) -> NiftiFile:
    """Read a ``.nii``, ``.nii.gz`` or ``.hdr``/``.img`` file into memory.

    Raises
    ------
    BadInputError
        When it is absent, no NIfTI file, incomplete, or of a kind that holds no numbers to measure.
    """
    raw = _unpacked(path)
    if path.name.removesuffix(".gz").endswith((".hdr", ".img")):
        head, body = _pair(path)
        raw = _unpacked(head)
        header = _header(head, raw)
        return NiftiFile(path, header, memoryview(_unpacked(body))[max(0, _offset(header, path)) :])
    header = _header(path, raw)
    return NiftiFile(path, header, memoryview(raw)[max(SINGLE_FILE_OFFSET, _offset(header, path)) :])


def voxel_array(file: NiftiFile, index: int | None) -> npt.NDArray[Any]:
    """(I, J, K) stored numbers of one volume, a read-only view in the file's byte order and Fortran order.

    Raises
    ------
    BadInputError
        When the file has more volumes and none or a wrong one is asked for, or ends before the voxels do.
    """
    shape, path = file.shape, file.path
    if len(shape) < 3 or min(shape) < 1:
        raise BadInputError(f"{path} has shape {shape}; a 3D image is needed, or one volume of a 4D one.")
    if len(shape) > 4:
        raise BadInputError(f"{path} has {counted(len(shape), 'axis', 'axes')}, {shape}; at most four can be read.")
    count = shape[3] if len(shape) == 4 else 1
    if index is None and count > 1:
        raise BadInputError(
            f"{path} holds {count} volumes; say which one to take: index 0 to {count - 1} (on the command line "
            "--index.IMAGE), or give a file of one."
        )
    chosen = index or 0
    if not 0 <= chosen < count:
        raise BadInputError(f"{path} holds {counted(count, 'volume')}; index {index} isn't among 0 to {count - 1}.")
    dtype = _dtype(file)
    voxels = int(np.prod(shape[:3]))
    needed = voxels * count * dtype.itemsize
    if len(file.voxels) < needed:
        raise BadInputError(
            f"{path} is cut short: its header promises {needed} bytes of voxels and {len(file.voxels)} are there. "
            "Copy or download it again."
        )
    start = chosen * voxels * dtype.itemsize
    return np.frombuffer(file.voxels, dtype, voxels, start).reshape(shape[:3], order="F")


def _unpacked(path: Path) -> bytes | memoryview:
    """A file's bytes, out of gzip when they are in it, whatever the name says."""
    if path.is_dir():
        raise BadInputError(f"{path} is a folder; give one NIfTI file (.nii, .nii.gz, .hdr or .img).")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BadInputError(f"{path} doesn't exist.") from None
    except OSError as error:
        raise BadInputError(f"{path} can't be read: {error.strerror}.") from error
    if not raw:
        raise BadInputError(f"{path} is empty: 0 bytes.")
    if not raw.startswith(GZIP_MAGIC):
        return raw
    try:
        return _gunzipped(raw)
    except (EOFError, GZIP_ERROR) as error:
        raise BadInputError(f"{path} is a damaged or cut gzip file ({error}). Copy or download it again.") from error


def _gunzipped(raw: bytes) -> memoryview:
    """The content of all members of a gzip file, in memory that is taken once, by the size that the file ends with.

    What follows the last whole member and is none is passed over, as gzip itself does.

    It comes in pieces that the processor's cache holds: memory fresh from the system costs more than the unpacking.
    """
    content = np.empty(min(int.from_bytes(raw[-4:], "little"), GZIP_MAX_RATIO * len(raw)), dtype=np.uint8)
    filled = 0
    for piece in _gzip_pieces(raw):
        end = filled + len(piece)
        if end > content.size:  # more members, or more than the 4 GiB that the size can say
            content = np.concatenate([content, np.empty(max(content.size, len(piece)), dtype=np.uint8)])
        content[filled:end] = np.frombuffer(piece, dtype=np.uint8)
        filled = end
    return content[:filled].data


def _gzip_pieces(raw: bytes) -> Iterator[bytes]:
    while raw.startswith(GZIP_MAGIC):
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        yield member.decompress(raw, GZIP_PIECE_BYTES)
        while not member.eof:
            if member.needs_input:
                raise EOFError("it ends too early")
            yield member.decompress(b"", GZIP_PIECE_BYTES)
        raw = member.unused_data.lstrip(b"\0")


def _pair(path: Path) -> tuple[Path, Path]:
    """The ``.hdr`` and ``.img`` files that belong together, either of them packed or not."""
    stem = path.name.removesuffix(".gz").removesuffix(".hdr").removesuffix(".img")
    found = []
    for suffix in (".hdr", ".img"):
        here = [path.with_name(stem + suffix + packed) for packed in ("", ".gz")]
        there = next((candidate for candidate in here if candidate.exists()), None)
        if there is None:
            raise BadInputError(f"{path} is half of a pair; its other half {here[0].name} isn't beside it.")
        found.append(there)
    return found[0], found[1]


def _header(path: Path, raw: bytes | memoryview) -> Any:
    kind = _HEADERS.get(int.from_bytes(raw[:4], "little")) or _HEADERS.get(int.from_bytes(raw[:4], "big"))
    if kind is None:
        hint = ""
        if bytes(raw[128:132]) == b"DICM":
            hint = " It is DICOM: turn the series into NIfTI first, with dcm2niix."
        raise BadInputError(f"{path} is not a NIfTI file.{hint}")
    if len(raw) < kind.sizeof_hdr:
        raise BadInputError(f"{path} is cut short: its {counted(len(raw), 'byte')} can't hold a NIfTI header.")
    header = kind.from_fileobj(io.BytesIO(raw[: kind.sizeof_hdr]), check=False)
    if not bytes(header["magic"].item()).startswith((b"n+", b"ni")):
        raise BadInputError(
            f"{path} is an Analyze 7.5 file, not NIfTI, and can't say which side is left. "
            "Convert the original scan (DICOM) with dcm2niix."
        )
    if not 1 <= int(header["dim"][0]) <= 7:
        raise BadInputError(f"{path} has a damaged header: {int(header['dim'][0])} axes; 1 to 7 are possible.")
    return header


def _offset(header: Any, path: Path) -> int:
    """Bytes before the first voxel, as the header says."""
    offset = float(header["vox_offset"])
    if not math.isfinite(offset):
        raise BadInputError(f"{path} has a damaged header: its voxels start at byte {offset:g}. Convert it again.")
    return int(offset)


def _dtype(file: NiftiFile) -> np.dtype[Any]:
    code = int(file.header["datatype"])
    if code in _COLOUR:
        raise BadInputError(
            f"{file.path} is a colour picture ({_COLOUR[code]}), not an image of measured values. Give the scan itself."
        )
    if code in _COMPLEX:
        raise BadInputError(f"{file.path} holds complex numbers ({_COMPLEX[code]}). Give its magnitude image.")
    try:
        dtype: np.dtype[Any] = np.dtype(file.header.get_data_dtype())
    except nib.spatialimages.HeaderDataError:
        dtype = np.dtype("V")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise BadInputError(
            f"{file.path} holds voxels of NIfTI type {code}; integers of 8 to 64 bits and floating point of 32 and 64 "
            "can be read."
        )
    return dtype
