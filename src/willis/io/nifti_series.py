"""Series in 4D NIfTI: all frames, and their times from the file beside it or the header."""

from __future__ import annotations

import secrets
from pathlib import Path

import nibabel as nib
import numpy as np

from willis.errors import BadInputError
from willis.io.beside import SIDECAR, read_sidecar, with_ending
from willis.io.nifti import SPACE_CODE, packed
from willis.io.nifti_file import SINGLE_FILE_OFFSET, SINGLE_FILE_SUFFIXES, NiftiFile, open_nifti, voxel_array
from willis.io.nifti_geometry import NO_SHEAR_DEG, read_grid, shear_deg
from willis.io.nifti_values import scaled_values
from willis.io.tables import write_json
from willis.units import counted
from willis.volume.grid import FloatArray
from willis.volume.series import Series

_SECONDS = {0: 1.0, 8: 1.0, 16: 1e-3, 24: 1e-6}  # by NIfTI's code of the unit of time; unknown is read as s
LONGEST_STEP_S = 60.0  # a step in the header above it is in another unit
LEAST_FRAMES = 2
HEADER_TIMES = "Times are the header's"  # start of the note that says so


def read_series(path: Path | str, role: str = "") -> Series:
    """Read all frames of a 4D NIfTI file.

    Times are those that the JSON file beside it names (``VolumeTiming`` or ``RepetitionTime``, BIDS, in s), else the
    header's step. A sheared grid is kept as it is: frames are never interpolated here.

    Raises
    ------
    BadInputError
        When the file can't be read, holds one volume only, or its times don't fit its frames.
    GeometryError
        When it doesn't say where it lies.
    """
    path = Path(path)
    file = open_nifti(path)
    shape = file.shape
    if len(shape) != 4 or shape[3] < LEAST_FRAMES:
        raise BadInputError(f"{path} holds one volume of shape {shape[:3]}; a series of frames is needed (4D).")
    first = voxel_array(file, 0)
    grid, notes = read_grid(file.header, first.shape, path)
    slope, inter = float(file.header["scl_slope"]), float(file.header["scl_inter"])
    frames = [scaled_values(voxel_array(file, t), slope, inter, path) for t in range(shape[3])]
    data = np.stack(frames, axis=3)
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
        notes = (*notes, "Values that are no numbers became 0.")
    times, said = _times(file, path)
    return Series(data, grid, times, role, notes=(*notes, *said))


def write_series(series: Series, path: Path | str) -> Path:
    """Write a series as 4D NIfTI-1 with its times in a JSON file beside it.

    Raises
    ------
    BadInputError
        When the name ends otherwise than in .nii or .nii.gz.
    """
    path = Path(path)
    if not path.name.endswith(SINGLE_FILE_SUFFIXES):
        raise BadInputError(f"{path} must end in .nii.gz or .nii.")
    data = series.data
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_zooms((*series.grid.spacing_mm, _step(series.times_s)))
    header.set_xyzt_units("mm", "sec")
    header.set_sform(series.grid.affine, SPACE_CODE)
    header.set_qform(series.grid.affine, SPACE_CODE if shear_deg(series.grid) <= NO_SHEAR_DEG else 0)
    header["magic"], header["vox_offset"] = b"n+1", SINGLE_FILE_OFFSET
    header["scl_slope"], header["scl_inter"] = 1, 0
    head = bytes(header.binaryblock).ljust(SINGLE_FILE_OFFSET, b"\0")
    pieces = (head, *(data[..., t].tobytes(order="F") for t in range(series.frames)))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as stream:
            for piece in packed(iter(pieces)) if path.name.endswith(".gz") else pieces:
                stream.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if series.times_s is not None:
        write_json({"VolumeTiming": [round(float(t), 4) for t in series.times_s]}, with_ending(path, SIDECAR))
    return path


def read_times(path: Path | str) -> FloatArray:
    """Times in s from a text file: numbers separated by spaces, commas or line ends.

    Raises
    ------
    BadInputError
        When the file can't be read or holds anything else.
    """
    path = Path(path)
    try:
        return np.array([float(word) for word in path.read_text(encoding="utf-8").replace(",", " ").split()])
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"{path} doesn't hold times in s, separated by spaces, commas or lines ({error})."
        ) from None


def _times(file: NiftiFile, path: Path) -> tuple[FloatArray | None, tuple[str, ...]]:
    count = file.shape[3]
    frames = np.arange(count, dtype=np.float64)
    said, sidecar = read_sidecar(path), with_ending(path, SIDECAR)
    if isinstance(said.get("VolumeTiming"), list):
        try:
            times = np.array(said["VolumeTiming"], dtype=np.float64)
        except (TypeError, ValueError):
            times = np.array([np.nan])
        if not np.isfinite(times).all():
            raise BadInputError(
                f"{sidecar} holds what is no number in VolumeTiming; allowed is one time in s for each frame. "
                "Mend it or leave it out."
            )
        if times.shape != (count,):
            raise BadInputError(
                f"{sidecar} gives {counted(times.size, 'time')}; {path.name} holds {counted(count, 'frame')}."
            )
        return np.asarray(times - times[0]), ()
    if isinstance(said.get("RepetitionTime"), int | float) and said["RepetitionTime"] > 0:
        return frames * float(said["RepetitionTime"]), ()
    step = float(file.header["pixdim"][4])
    unit = _SECONDS.get(int(file.header["xyzt_units"]) & 0x38, 1.0)
    if not np.isfinite(step) or step <= 0:
        return None, ()
    if step * unit > LONGEST_STEP_S:
        return frames * step * 1e-3, (f"{HEADER_TIMES}, whose step of {step:g} was read as ms.",)
    return frames * step * unit, (f"{HEADER_TIMES}: a frame every {step * unit:g} s.",)


def _step(times_s: FloatArray | None) -> float:
    return 1.0 if times_s is None else float(np.median(np.diff(times_s)))
