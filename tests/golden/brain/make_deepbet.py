"""Write deepbet's brain masks of the real scans, as the judge of willis' own.

deepbet 1.0.2 (Fisch 2024, doi:10.1016/j.compbiomed.2024.108845; MIT) carries its weights in its wheel. It needs an
environment of its own:

    python3.11 -m venv judge && judge/bin/pip install torch==2.13.0
    judge/bin/pip install numpy nibabel scipy pandas tqdm fill_voids connected-components-3d
    judge/bin/pip install --no-deps deepbet==1.0.2
    judge/bin/python tests/golden/brain/make_deepbet.py ../shared/data tests/golden/brain/deepbet.npz
"""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from deepbet import BrainExtraction

SCANS = {
    "t1 patient07": "wmh_openms/patient07/t1.nii.gz",
    "t1 patient19": "wmh_openms/patient19/t1.nii.gz",
    "t1 whole head": "wholehead_openms/t1.nii.gz",
    "t1 chronic": "chronic_cstar/T1.nii.gz",
    "t1 ch2": "chronic_lesions_ch2/ch2.nii.gz",
    "flair patient07": "wmh_openms/patient07/flair.nii.gz",
    "flair patient19": "wmh_openms/patient19/flair.nii.gz",
    "flair whole head": "wholehead_openms/flair.nii.gz",
    "flair chronic": "chronic_cstar/FLAIR.nii.gz",
    "flair acute": "acute_isles22/sub-strokecase0009_ses-0001_flair.nii.gz",
    "t2 chronic": "chronic_cstar/T2.nii.gz",
    "t2 whole head": "chronic_t2/t2.nii.gz",
    "dwi acute": "acute_isles22/sub-strokecase0009_ses-0001_dwi.nii.gz",
}


def main(data: Path, out: Path) -> None:
    torch.set_num_threads(1)
    judge = BrainExtraction(no_gpu=True)
    saved = {}
    for name, path in SCANS.items():
        image = nib.load(data / path)
        _, mask, _ = judge.run(image)
        inside = np.asarray(mask.dataobj).reshape(image.shape[:3]) > 0
        saved[f"{name}|bits"] = np.packbits(inside)
        saved[f"{name}|shape"] = np.array(inside.shape)
        saved[f"{name}|file"] = np.array(path)
        print(f"{name}: {inside.sum() * np.prod(image.header.get_zooms()[:3]) / 1000:.0f} ml")
    np.savez_compressed(out, **saved)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
