"""Grid: where the voxels of an array lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.units import MM3_PER_ML

FloatArray = npt.NDArray[np.float64]
Shape3 = tuple[int, int, int]

SAME_GRID_TOLERANCE_MM = 1e-3  # largest distance of corresponding corner voxels of grids called the same
AXIS_NAMES = (("L", "R"), ("P", "A"), ("I", "S"))  # (negative, positive) end of world axes x, y, z in RAS+


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of voxels: its shape, and the affine from voxel index to millimetres in RAS+.

    Parameters
    ----------
    shape
        Number of voxels along i, j, k.
    affine
        (4, 4), mm, RAS+: x grows to the patient's right, y to anterior, z to superior.

    Raises
    ------
    GeometryError
        When the affine isn't a finite, invertible (4, 4) matrix with last row 0 0 0 1, or a side is below 1.
    """

    shape: Shape3
    affine: FloatArray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"a grid needs three sides of at least one voxel; found shape {shape}.")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
            found = affine.tolist()
            raise GeometryError(f"an affine must be a finite 4 × 4 matrix with last row 0 0 0 1; found {found}.")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise GeometryError("the affine has no inverse: at least one voxel axis has no length or two are parallel.")
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of a voxel's edge along i, j, k."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, true under shear too: |det| of the affine."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / MM3_PER_ML

    @property
    def directions(self) -> FloatArray:
        """(3, 3) unit vectors of the i, j, k axes in RAS+, one per column."""
        columns = self.affine[:3, :3]
        return np.asarray(columns / np.linalg.norm(columns, axis=0))

    @property
    def orientation(self) -> str:
        """The world directions nearest to growing i, j, k, as three letters such as ``"RAS"`` or ``"LPI"``.

        >>> Grid((2, 2, 2), np.diag([-1.0, 1.0, 1.0, 1.0])).orientation
        'LAS'
        """
        import nibabel as nib

        return "".join(nib.aff2axcodes(self.affine))

    @property
    def centre_mm(self) -> FloatArray:
        """(3,) world position of the middle of the field of view."""
        return self.to_mm((np.array(self.shape) - 1) / 2)

    def to_mm(self, index: npt.ArrayLike) -> FloatArray:
        """World positions (..., 3) in mm of voxel indices (..., 3)."""
        return np.asarray(np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3])

    def to_index(self, mm: npt.ArrayLike) -> FloatArray:
        """Fractional voxel indices (..., 3) of world positions (..., 3) in mm."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(np.asarray(mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3])

    def same_as(self, other: Grid, tolerance_mm: float = SAME_GRID_TOLERANCE_MM) -> bool:
        """Whether both grids have one shape and all corner voxels lie within the tolerance of each other."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1).T
        return bool(np.abs(self.to_mm(corners) - other.to_mm(corners)).max() <= tolerance_mm)

    def shifted(self, start: npt.ArrayLike, shape: Shape3) -> Grid:
        """The grid of the same lattice that begins at voxel ``start`` (may be negative) and has ``shape``."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_mm(start)
        return Grid(shape, affine)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Grid) and self.shape == other.shape and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes()))
