"""Make real_preparing.json: FVV's preparing of a real scan by dipy and scikit-image, told by figures alone.

Run in an environment with both and nibabel: python make_real_preparing.py DWI ADC real_preparing.json. The ADC is in
1e-3 mm²/s, and b0 made of both with b = 1000 s/mm². Nothing of the scan itself is written: the mask's voxels by slice
and a checksum of it, and the mean and the standard deviation of both images in the mask by slice.
"""

import hashlib
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from make_preparing import prepared


def main(dwi: str, adc: str, out: str) -> None:
    b1000, diffusion = (nib.load(path).get_fdata() for path in (dwi, adc))
    mask, images = prepared(b1000 * np.exp(diffusion), b1000)
    slices = [k for k in range(mask.shape[2]) if mask[..., k].any()]
    told = {
        "mask_sha256": hashlib.sha256(np.packbits(mask).tobytes()).hexdigest(),
        "mask_voxels": [int(mask[..., k].sum()) for k in range(mask.shape[2])],
        "mean": [[round(float(image[..., k][mask[..., k]].mean()), 5) for k in slices] for image in images],
        "std": [[round(float(image[..., k][mask[..., k]].std()), 5) for k in slices] for image in images],
    }
    Path(out).write_text(json.dumps(told) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
