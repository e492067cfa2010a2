"""Make the map of arterial territories that ``lvo`` comes with, from where acute infarcts lie.

    python scripts/make_territories.py ../shared/data/acute_lesions_mni

Infarct masks in MNI space (OpenNeuro ds004889, CC0) are sorted into territories by a mixture model: each infarct
belongs to one territory, each territory has its own frequency of every voxel. The model starts from a few seed points
of undoubted anatomy and is fitted by expectation maximisation; infarcts and their mirror images count alike. Each voxel
goes to the territory that most of the infarcts covering it belong to. No other atlas is used.
"""

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage, sparse

from willis.io.nifti import read_nifti, write_nifti
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

OUT = Path(__file__).parents[1] / "src" / "willis" / "tasks" / "template"
STEP_MM = 4.0  # of the voxels that the model counts
LARGEST_ML = 450.0  # larger masks are mis-traced
LEAST_ML = 0.1
LEAST_SHARE = 0.1  # of a coarse voxel
ITERATIONS = 20
STRENGTH = 3.0  # voxels of an infarct that count as independent; a stronger belief keeps the start's mistakes
FLOOR = 1e-6  # of a territory's frequencies
SEEDED = 0.6  # nearness to a seed from which a voxel stays with it
SMOOTHING_MM = 4.0
SEED_RADIUS_MM = 9.0
CORTEX_FAR_MM = 24.0  # beyond this distance of any infarct a voxel stays without territory
NAMES = ("aca", "mca", "pca", "vertebrobasilar")  # codes 1 to 4; + 10 on the right
SEEDS_MM = {  # right side, MNI; textbook anatomy
    "aca": ((6, 45, 20), (6, 20, 45), (6, -25, 62), (6, 55, -5)),
    "mca": ((40, 5, 5), (55, -30, 25), (50, 10, 25), (55, -15, -15), (25, 5, 5), (45, 30, 5), (50, -60, 15)),
    "pca": ((10, -80, 5), (20, -60, -4), (12, -22, 6), (30, -35, -15), (20, -92, 5)),
    "vertebrobasilar": ((25, -65, -40), (4, -28, -35), (15, -50, -25), (40, -55, -45)),
}


def load(folder: Path) -> tuple[sparse.csr_array, Grid]:
    """(N, voxels) infarcts and their mirror images on a coarse grid that is symmetric about x = 0."""
    shape = (39, 47, 45)
    affine = np.diag([STEP_MM, STEP_MM, STEP_MM, 1.0])
    affine[:3, 3] = (-STEP_MM * (shape[0] - 1) / 2, -112, -72)
    grid = Grid(shape, affine)
    rows = []
    for path in sorted(folder.glob("*.nii.gz")):
        mask = read_nifti(path, allow_empty=True)
        if not LEAST_ML <= mask.volume_ml <= LARGEST_ML:
            continue
        coarse = resample_to(mask.with_data((mask.data > 0).astype(np.float32)), grid, antialias=True).data
        coarse[coarse <= LEAST_SHARE] = 0
        rows += [sparse.csr_array(side.reshape(1, -1)) for side in (coarse, coarse[::-1])]
    return sparse.csr_array(sparse.vstack(rows)), grid


def start(grid: Grid) -> np.ndarray:
    """(territory, voxels) nearness to the seeds, both sides."""
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))
    points[:, 0] = np.abs(points[:, 0])
    near = [
        np.max([np.exp(-((points - s) ** 2).sum(1) / (2 * SEED_RADIUS_MM**2)) for s in SEEDS_MM[name]], axis=0)
        for name in NAMES
    ]
    return np.array(near)


def fit(lesions: sparse.csr_array, seeds: np.ndarray) -> np.ndarray:
    """(territory, voxels) expected number of infarcts of each territory that cover each voxel."""
    frequency = seeds / seeds.sum(axis=1, keepdims=True) + FLOOR
    share = np.full(len(seeds), 1 / len(seeds))
    weight = sparse.diags_array(1 / np.maximum(lesions.sum(axis=1), FLOOR)) @ lesions
    anchored = seeds > SEEDED
    for _ in range(ITERATIONS):
        log = STRENGTH * (weight @ np.log(frequency / frequency.sum(axis=1, keepdims=True)).T) + np.log(share)
        belongs = np.exp(log - log.max(axis=1, keepdims=True))
        belongs /= belongs.sum(axis=1, keepdims=True)
        share = belongs.mean(axis=0)
        counts = (lesions.T @ belongs).T
        counts = counts + anchored * counts.max(axis=0)
        frequency = counts / counts.sum(axis=1, keepdims=True) + FLOOR
    return counts


def main(folder: Path) -> None:
    """Write ``territories.nii.gz`` on the template's grid."""
    brain = read_nifti(OUT / "brain.nii.gz")
    lesions, grid = load(folder)
    counts = fit(lesions, start(grid)).reshape(len(NAMES), *grid.shape)
    smooth = np.stack([ndimage.gaussian_filter(c, SMOOTHING_MM / STEP_MM) for c in counts])
    fine = np.stack([resample_to(Volume(c, grid), brain.grid).data for c in smooth.astype(np.float32)])
    fine = (fine + fine[:, ::-1]) / 2
    reached = fine.sum(axis=0) > 0.05
    nearest = ndimage.distance_transform_edt(~reached, sampling=2.0, return_distances=False, return_indices=True)
    codes = (1 + fine.argmax(axis=0))[tuple(nearest)]
    far = ndimage.distance_transform_edt(~reached, sampling=2.0) > CORTEX_FAR_MM
    right = brain.grid.to_mm(np.moveaxis(np.indices(brain.grid.shape), 0, -1))[..., 0] > 0
    codes = np.where((brain.data > 0) & ~far, codes + 10 * right, 0).astype(np.uint8)
    middle = brain.grid.shape[0] // 2
    codes[middle] = codes[middle - 1]  # x = 0 belongs to neither side; counted with the left
    write_nifti(Volume(codes, brain.grid), OUT / "territories.nii.gz")
    ml = {name: (codes % 10 == n).sum() * brain.grid.voxel_ml for n, name in enumerate(NAMES, start=1)}
    print(f"{lesions.shape[0] // 2} infarcts; " + ", ".join(f"{name} {v:.0f} ml" for name, v in ml.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
