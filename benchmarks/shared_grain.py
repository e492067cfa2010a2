"""The noise that an ADC shares with its b1000, and with a FLAIR given as one: what decision 0107 rests on.

    .venv/bin/python benchmarks/shared_grain.py --anatomies ../shared/data/head_labels
    .venv/bin/python benchmarks/shared_grain.py --b1000 DWI --adc ADC --flair FLAIR     a real pair

Prints the correlation of their grain: of the pair, of a FLAIR brought onto its grid, of the pair with one image or the
whole DWI smoothed beforehand, and of pair and FLAIR zero filled to twice the voxels in the plane.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from orientations import in_plane
from scipy import ndimage

from willis.io.nifti import read_nifti
from willis.phantom.patient import make_patient
from willis.tasks.fvv.diffusion import adc_in_mm2_s, adc_of
from willis.tasks.fvv.grain import shared_grain
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SEED = 321
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")
SMOOTHED_VOXELS = 0.6
B = 1000.0


def told(b1000: Volume, adc: Volume, flair: Volume, mask: npt.NDArray[np.bool_], b0: Volume | None = None) -> str:
    """One line of correlations."""

    def smooth(image: Volume) -> Volume:
        return image.with_data(ndimage.gaussian_filter(image.data.astype(np.float64), SMOOTHED_VOXELS))

    other = resample_to(flair.with_data(flair.data.astype(np.float32)), b1000.grid)
    cases = {
        "pair": (b1000, adc),
        "FLAIR": (other, adc),
        "b1000 smoothed": (smooth(b1000), adc),
        "ADC smoothed": (b1000, smooth(adc)),
    }
    if b0 is not None:
        blurred = smooth(b1000)
        cases["DWI smoothed"] = (blurred, adc.with_data(adc_of(smooth(b0).data, blurred.data, B)))
    found = {name: shared_grain(*images, mask) for name, images in cases.items()}
    large = 2 * b1000.grid.shape[0]
    filled = {name: in_plane(image, large) for name, image in (("b1000", b1000), ("ADC", adc), ("FLAIR", other))}
    head = resample_to(b1000.with_data(mask.astype(np.uint8)), filled["b1000"].grid, "nearest").data > 0
    for name, image in (("pair zero filled", filled["b1000"]), ("FLAIR zero filled", filled["FLAIR"])):
        found[name] = shared_grain(image, filled["ADC"], head)
    return ", ".join(f"{name} {'none' if value is None else f'{value:.3f}'}" for name, value in found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomies")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--b1000", type=Path)
    parser.add_argument("--adc", type=Path)
    parser.add_argument("--flair", type=Path)
    asked = parser.parse_args()
    if asked.b1000:
        b1000, flair = read_nifti(asked.b1000, "b1000"), read_nifti(asked.flair, "flair")
        adc, _ = adc_in_mm2_s(read_nifti(asked.adc, "adc"))
        print(told(b1000, adc, flair, b1000.data > 0))
    if asked.anatomies:
        heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, held_out=HELD_OUT), validation=True)
        for index in range(asked.count):
            patient = make_patient("fvv", SEED, index, heads)
            b0, b1000, flair = (patient.study[role] for role in ("b0", "b1000", "flair"))
            adc = b1000.with_data(adc_of(b0.data, b1000.data, B), role="adc")
            print(told(b1000, adc, flair, patient.truth["brain"].data > 0, b0), flush=True)


if __name__ == "__main__":
    main()
