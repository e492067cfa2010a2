"""Find where the built-in head lies in MNI space: prints the matrix that ``tasks/chronic/space.py`` holds.

    python scripts/place_chronic_template.py TEMPLATE.nii.gz

TEMPLATE is any T1 of a head in MNI space (``ch2`` was taken). The matrix is made its own mirror image.
"""

import sys

import numpy as np
from scipy import ndimage

from willis.image.affine import register_affine
from willis.image.intensity import scale_p99
from willis.io.nifti import read_nifti
from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.contrast import draw_person, lookup_table_of, t1_palette
from willis.phantom.labels import BRAIN, lookup
from willis.tasks.brain.find import find_brain
from willis.tasks.chronic.space import CONTRAST_SEED, SOFTNESS_VOXELS
from willis.volume.volume import Volume

target = read_nifti(sys.argv[1], "t1")
brain = find_brain(target).mask_on(target.grid)
anatomy = builtin_anatomy()
rng = np.random.default_rng(CONTRAST_SEED)
person, field = draw_person(rng)
values = lookup_table_of(t1_palette(rng, person, field, volumetric=True))
values[~lookup(BRAIN)] = 0
painted = ndimage.gaussian_filter(values[anatomy.codes], SOFTNESS_VOXELS).astype(np.float32)
fixed = target.with_data(scale_p99(target.data, brain.data > 0) * (brain.data > 0))
matrix = register_affine(Volume(painted, anatomy.grid), fixed, brain, (0.0, 1.2)).matrix.copy()
matrix[0, 1:] = matrix[1:3, 0] = 0
print(np.array2string(matrix, precision=4, suppress_small=True, separator=", "))
