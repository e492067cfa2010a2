"""Make the head that comes with willis from a folder of FreeSurfer-coded whole-head label maps.

    python scripts/make_builtin_anatomy.py FOLDER -o src/willis/phantom/data/head.nii.gz

Every map is moved to the group's mean shape: its brain's centre and extent first, then diffeomorphic demons towards
the mean of all pictures, coarse to fine; the mean displacement is taken out after each round. Each voxel then gets the
label that most maps give it. Nobody's own head remains. Takes about four minutes of one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

SHAPE = (192, 240, 232)  # 1 mm voxels of the result, RAS
CENTRE = (96, 118, 132)  # where the brain's centre lies in it
ROUNDS = ((5.0, 25), (3.0, 25), (2.5, 12))  # mm of the grid, demons iterations
FIELD_SMOOTHING = 1.2  # voxels
VOTE_SMOOTHING_MM = 0.5
PICTURE = {  # grey levels that make the borders visible to a registration
    0: 0, 2: 200, 41: 200, 3: 130, 42: 130, 24: 50, 4: 10, 43: 10, 5: 10, 44: 10, 14: 10, 15: 10, 16: 190, 7: 190,
    46: 190, 8: 130, 47: 130, 10: 160, 49: 160, 11: 140, 50: 140, 12: 150, 51: 150, 13: 175, 52: 175, 17: 135,
    53: 135, 18: 135, 54: 135, 26: 140, 58: 140, 28: 180, 60: 180, 25: 200, 57: 200, 136: 60, 163: 60, 137: 60,
    164: 60, 507: 110, 511: 90, 515: 20, 516: 80, 506: 40, 509: 100, 512: 190, 514: 60, 502: 60,
}  # fmt: skip
BRAIN = (2, 3, 4, 7, 8, 10, 11, 12, 13, 16, 17, 41, 42, 43, 46, 47, 49, 50, 51, 52, 53)

Labels = npt.NDArray[np.int16]


def read_labels(path: Path) -> tuple[sitk.Image, npt.NDArray[np.float64]]:
    """A label map in RAS on 1 mm voxels, its origin at the brain's centre; the brain's extent along each axis, mm."""
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asanyarray(image.dataobj).astype(np.int16)
    where = np.argwhere(np.isin(labels[::2, ::2, ::2], BRAIN)) * 2
    out = sitk.GetImageFromArray(labels.transpose(2, 1, 0))
    out.SetOrigin([float(-c) for c in where.mean(0)])
    return out, where.std(0)


def picture(labels: sitk.Image) -> sitk.Image:
    """Grey levels of a label map, smoothed, on its own grid."""
    table = np.full(2000, 100, dtype=np.float32)
    for code, level in PICTURE.items():
        table[code] = level
    out = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(labels)])
    out.CopyInformation(labels)
    return sitk.SmoothingRecursiveGaussian(out, 1.0)


def frame(spacing_mm: float) -> sitk.Image:
    """The empty grid of the result."""
    size = [int(n / spacing_mm) for n in SHAPE]
    out = sitk.Image(size, sitk.sitkFloat32)
    out.SetSpacing([spacing_mm] * 3)
    out.SetOrigin([float(-c) for c in CENTRE])
    return out


def mean_image(pictures: list[sitk.Image], fields: list[sitk.Image]) -> sitk.Image:
    """Mean of the pictures, moved by their displacements where there are any."""
    moved = pictures
    if fields:
        moved = [
            sitk.Resample(p, p, sitk.DisplacementFieldTransform(sitk.Image(f)), sitk.sitkLinear, 0.0)
            for p, f in zip(pictures, fields, strict=True)
        ]
    out = sitk.GetImageFromArray(sum(sitk.GetArrayFromImage(m) for m in moved) / np.float32(len(moved)))
    out.CopyInformation(pictures[0])
    return out


def to_mean_extent(extents: list[npt.NDArray[np.float64]]) -> list[sitk.AffineTransform]:
    """Scalings that give every brain the group's mean extent along each axis."""
    mean = np.mean(extents, axis=0)
    out = []
    for extent in extents:
        t = sitk.AffineTransform(3)
        t.SetMatrix(np.diag(extent / mean).ravel().tolist())
        out.append(t)
    return out


def register_demons(fixed: sitk.Image, moving: sitk.Image, start: sitk.Image | None, iterations: int) -> sitk.Image:
    """Displacement (mm) of fixed to moving, both on the coarse grid."""
    demons = sitk.DiffeomorphicDemonsRegistrationFilter()
    demons.SetNumberOfIterations(iterations)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(FIELD_SMOOTHING)
    demons.SetMaximumUpdateStepLength(2.0)
    return demons.Execute(fixed, moving) if start is None else demons.Execute(fixed, moving, start)


def without_mean(fields: list[sitk.Image]) -> list[sitk.Image]:
    """Displacements after the group's mean displacement is undone."""
    mean = sum(sitk.GetArrayFromImage(f) for f in fields) / len(fields)
    undo = sitk.GetImageFromArray(-mean, isVector=True)
    undo.CopyInformation(fields[0])
    shift = sitk.DisplacementFieldTransform(sitk.Cast(undo, sitk.sitkVectorFloat64))
    out = []
    for f in fields:
        moved = sitk.Resample(f, f, shift)
        out.append(sitk.Cast(moved, sitk.sitkVectorFloat64) + sitk.Cast(undo, sitk.sitkVectorFloat64))
    return out


def vote(labels: list[sitk.Image], transforms: list[sitk.Transform]) -> Labels:
    """The label of most maps in each voxel of the 1 mm frame."""
    grid = frame(1.0)
    moved = [
        sitk.GetArrayFromImage(sitk.Resample(m, grid, t, sitk.sitkNearestNeighbor, 0)).transpose(2, 1, 0)
        for m, t in zip(labels, transforms, strict=True)
    ]
    best = np.zeros(moved[0].shape, dtype=np.float32)
    winner = np.zeros(moved[0].shape, dtype=np.int16)
    for code in np.unique(np.concatenate([np.unique(m) for m in moved])):
        share = sum((m == code).astype(np.float32) for m in moved)
        share = ndimage.gaussian_filter(share, VOTE_SMOOTHING_MM)
        better = share > best
        best[better], winner[better] = share[better], code
    return winner


def main() -> None:
    """Read the folder, build the mean head, write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    read = [read_labels(p) for p in sorted(arguments.folder.glob("*.nii*"))]
    labels = [r[0] for r in read]
    scalings = to_mean_extent([r[1] for r in read])
    finest = frame(ROUNDS[-1][0])
    pictures = [
        sitk.Resample(picture(m), finest, t, sitk.sitkLinear, 0.0) for m, t in zip(labels, scalings, strict=True)
    ]
    print("pictures done", flush=True)
    fields: list[sitk.Image] = []
    for spacing_mm, iterations in ROUNDS:
        grid = frame(spacing_mm)
        level = [sitk.Resample(sitk.SmoothingRecursiveGaussian(p, 0.5 * spacing_mm), grid) for p in pictures]
        fields = [sitk.Resample(f, grid) for f in fields]
        target = mean_image(level, fields)
        fields = [register_demons(target, p, fields[i] if fields else None, iterations) for i, p in enumerate(level)]
        fields = without_mean(fields)
        spread = float(np.mean([np.abs(sitk.GetArrayFromImage(f)).mean() for f in fields]))
        print(f"demons at {spacing_mm} mm done, mean displacement {spread:.2f} mm", flush=True)
    both = [
        sitk.CompositeTransform([t, sitk.DisplacementFieldTransform(sitk.Image(f))])
        for t, f in zip(scalings, fields, strict=True)
    ]
    winner = vote(labels, both)
    affine_mm = np.eye(4)
    affine_mm[:3, 3] = [-c for c in CENTRE]
    out = nib.Nifti1Image(winner, affine_mm)
    out.header.set_xyzt_units("mm")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    nib.save(out, arguments.out)
    print(f"wrote {arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
