"""Make the head that comes with willis from a folder of FreeSurfer-coded whole-head label maps.

    python scripts/make_builtin_anatomy.py FOLDER -o src/willis/phantom/data/head.nii.gz

Every map is moved to the group's mean shape: affine first, then diffeomorphic demons towards the mean of the others'
pictures, whose own mean displacement is taken out after each round. Each voxel then gets the label that most maps
give it. Nobody's own head remains. Runs in about half an hour on one core.
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
AFFINE_MM = 5.0
COARSE_MM = 2.5
ROUNDS = (30, 30, 40)  # demons iterations of each round
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


def read_labels(path: Path) -> sitk.Image:
    """A label map in RAS on 1 mm voxels, its origin at the brain's centre."""
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asanyarray(image.dataobj).astype(np.int16)
    centre = np.argwhere(np.isin(labels, BRAIN)[::2, ::2, ::2]).mean(0) * 2
    out = sitk.GetImageFromArray(labels.transpose(2, 1, 0))
    out.SetOrigin([float(-c) for c in centre])
    return out


def picture(labels: sitk.Image) -> sitk.Image:
    """Grey levels of a label map, smoothed, on the coarse grid."""
    table = np.full(2000, 100, dtype=np.float32)
    for code, level in PICTURE.items():
        table[code] = level
    out = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(labels)])
    out.CopyInformation(labels)
    return sitk.Resample(sitk.SmoothingRecursiveGaussian(out, 0.8), frame(COARSE_MM), sitk.Transform(), sitk.sitkLinear)


def frame(spacing_mm: float) -> sitk.Image:
    """The empty grid of the result."""
    size = [int(n / spacing_mm) for n in SHAPE]
    out = sitk.Image(size, sitk.sitkFloat32)
    out.SetSpacing([spacing_mm] * 3)
    out.SetOrigin([float(-c) for c in CENTRE])
    return out


def mean_image(pictures: list[sitk.Image], transforms: list[sitk.Transform], grid: sitk.Image) -> sitk.Image:
    """Mean of the pictures on the grid."""
    total = sum(
        sitk.GetArrayFromImage(sitk.Resample(p, grid, t, sitk.sitkLinear, 0.0))
        for p, t in zip(pictures, transforms, strict=True)
    )
    out = sitk.GetImageFromArray((total / len(pictures)).astype(np.float32))
    out.CopyInformation(grid)
    return out


def register_affine(fixed: sitk.Image, moving: sitk.Image, start: sitk.AffineTransform) -> sitk.AffineTransform:
    """Affine transform of least squares, mm of fixed to mm of moving."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.01, 60)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([1])
    method.SetSmoothingSigmasPerLevel([1])
    method.SetInitialTransform(sitk.AffineTransform(start), inPlace=False)
    return sitk.AffineTransform(sitk.CompositeTransform(method.Execute(fixed, moving)).GetNthTransform(0))


def centred(transforms: list[sitk.AffineTransform]) -> list[sitk.AffineTransform]:
    """The transforms after their mean is taken out, so that the frame has the group's mean size."""
    matrices = [np.array(t.GetMatrix()).reshape(3, 3) for t in transforms]
    offsets = [np.array(t.TransformPoint((0.0, 0.0, 0.0))) for t in transforms]
    undo = np.linalg.inv(np.mean(matrices, axis=0))
    shift = -undo @ np.mean(offsets, axis=0)
    out = []
    for matrix, offset in zip(matrices, offsets, strict=True):
        t = sitk.AffineTransform(3)
        t.SetMatrix((matrix @ undo).ravel().tolist())
        t.SetTranslation((matrix @ shift + offset).tolist())
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
    labels = [read_labels(p) for p in sorted(arguments.folder.glob("*.nii*"))]
    pictures = [picture(m) for m in labels]
    coarse = frame(COARSE_MM)
    affine: list[sitk.AffineTransform] = [sitk.AffineTransform(3) for _ in labels]
    for n in range(2):
        target = mean_image(pictures, affine, frame(AFFINE_MM))
        affine = centred([register_affine(target, p, t) for p, t in zip(pictures, affine, strict=True)])
        print(f"affine round {n + 1} done", flush=True)
    aligned = [sitk.Resample(p, coarse, t, sitk.sitkLinear, 0.0) for p, t in zip(pictures, affine, strict=True)]
    fields: list[sitk.Image] = []
    target = mean_image(aligned, [sitk.Transform(3, sitk.sitkIdentity)] * len(labels), coarse)
    for n, iterations in enumerate(ROUNDS):
        fields = [register_demons(target, a, fields[i] if fields else None, iterations) for i, a in enumerate(aligned)]
        fields = without_mean(fields)
        steps = [sitk.DisplacementFieldTransform(sitk.Image(f)) for f in fields]
        target = mean_image(aligned, steps, coarse)
        spread = float(np.mean([np.abs(sitk.GetArrayFromImage(f)).mean() for f in fields]))
        print(f"demons round {n + 1} done, mean displacement {spread:.2f} mm", flush=True)
    both = [
        sitk.CompositeTransform([t, sitk.DisplacementFieldTransform(sitk.Image(f))])
        for t, f in zip(affine, fields, strict=True)
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
