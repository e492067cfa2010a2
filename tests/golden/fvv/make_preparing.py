"""Make preparing.npz: FVV's preparing of made-up images by dipy 1.9.0 and scikit-image, as the published code has it.

Run in an environment with both: python make_preparing.py preparing.npz. With two more arguments, a b1000 and a b0 as
NIfTI, it writes the same of a real scan.
"""

import sys

import numpy as np
from scipy.ndimage import binary_fill_holes, label

SHAPES = {"small": (112, 100, 6), "same": (256, 240, 4), "large": (320, 288, 4)}


def made_up_pair(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """b0 and b1000 of a ball with a bright rim, a dark core and noise, from 0 on."""
    rng = np.random.default_rng(shape[0])
    axes = np.meshgrid(*[np.linspace(-1.2, 1.2, n) for n in shape], indexing="ij")
    radius = np.sqrt(axes[0] ** 2 + axes[1] ** 2 + 0.5 * axes[2] ** 2)
    head = (radius < 1).astype(float)
    b0 = 600 * head + 500 * (radius < 0.3) + 300 * np.exp(-(((radius - 0.9) / 0.05) ** 2)) + 12 * rng.random(shape)
    b1000 = 280 * head - 150 * (radius < 0.3) + 12 * rng.random(shape)
    speck = (np.abs(axes[0] - 1.1) < 0.05) & (np.abs(axes[1]) < 0.1)
    return b0 + 900 * speck, b1000 + 400 * speck


def rescaled(volume: np.ndarray) -> np.ndarray:
    from skimage.transform import rescale

    x, y = volume.shape[:2]
    scale = 1.0
    if x < 240 or y < 240:
        scale = min(256 / x, 256 / y)
    if x > 272 or y > 272:
        scale = max(256 / x, 256 / y)
    if scale != 1:
        volume = np.stack([rescale(volume[..., k], scale) for k in range(volume.shape[2])], axis=2)
    pads = [((256 - n) // 2, 256 - n - (256 - n) // 2) if n < 256 else (0, 0) for n in volume.shape[:2]]
    volume = np.pad(volume, (*pads, (0, 0)))
    cuts = [(n - 256) // 2 for n in volume.shape[:2]]
    return volume[cuts[0] : cuts[0] + 256, cuts[1] : cuts[1] + 256]


def mask_of(b0: np.ndarray, b1000: np.ndarray) -> np.ndarray:
    from dipy.segment.mask import median_otsu
    from skimage import morphology

    common = median_otsu(b0, median_radius=1, numpass=4)[1] & median_otsu(b1000, median_radius=1, numpass=4)[1]
    parts, _ = label(common)
    counts = np.bincount(parts.ravel())
    counts[0] = 0
    mask = binary_fill_holes(morphology.binary_dilation(parts == counts.argmax()))
    for image in (b0, b1000):
        if image.min() >= 0:
            mask = mask & (image >= 1)
    return mask


def normed(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.clip((image - image[mask].mean()) / image[mask].std(), -10, 10)


def prepared(b0: np.ndarray, b1000: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images = [rescaled(b1000), rescaled(b0)]
    mask = mask_of(images[1], images[0])
    return mask, np.stack([normed(image, mask) for image in images])


def main(out: str, *scan: str) -> None:
    held = {}
    pairs = {name: made_up_pair(shape) for name, shape in SHAPES.items()}
    if scan:
        import nibabel as nib

        pairs = {"scan": (nib.load(scan[1]).get_fdata(), nib.load(scan[0]).get_fdata())}
    for name, (b0, b1000) in pairs.items():
        mask, image = prepared(b0, b1000)
        held[f"{name}_mask"] = np.packbits(mask)
        held[f"{name}_image"] = image if scan else image[:, ::16, ::16].astype(np.float32)
    np.savez_compressed(out, **held)


if __name__ == "__main__":
    main(*sys.argv[1:])
