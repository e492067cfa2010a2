"""Surface distances against known answers, MONAI, SciPy and scikit-image."""

import numpy as np
import pytest
from scipy import ndimage

from willis.measure.pair import MaskPair
from willis.measure.surface import assd_mm, hd95_mm, surface_distances_mm, surface_of

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.9, 5.0), (2.0, 0.5, 1.3)]


def blobs(seed: int, shape: tuple[int, int, int] = (26, 22, 18)) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0)
    return noise > np.quantile(noise, 0.85)


def ball(radius: float, centre: float = 20.0) -> np.ndarray:
    i, j, k = np.indices((41, 41, 41))
    return (i - centre) ** 2 + (j - 20) ** 2 + (k - 20) ** 2 <= radius**2


def test_a_cubes_surface_is_its_shell() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[2:7, 2:7, 2:7] = True
    assert surface_of(mask).sum() == 5**3 - 3**3


def test_the_border_of_the_image_is_a_surface() -> None:
    assert surface_of(np.ones((5, 5, 5), dtype=bool)).sum() == 5**3 - 3**3


@pytest.mark.parametrize("spacing", SPACINGS)
def test_voxels_apart_along_one_axis(spacing: tuple[float, float, float]) -> None:
    for axis in range(3):
        p, r = np.zeros((2, 12, 12, 12), dtype=bool)
        p[2, 2, 2] = True
        r[tuple(9 if a == axis else 2 for a in range(3))] = True
        assert hd95_mm(p, r, spacing) == assd_mm(p, r, spacing) == pytest.approx(7 * spacing[axis])


def test_concentric_balls_are_as_far_apart_as_their_radii() -> None:
    small, large = ball(10), ball(16)
    assert assd_mm(small, large) == pytest.approx(6, abs=0.3)
    assert hd95_mm(small, large) == pytest.approx(6, abs=0.8)
    assert hd95_mm(small, large, (2.0, 2.0, 2.0)) == pytest.approx(2 * hd95_mm(small, large))


def test_a_slab_longer_than_another() -> None:
    p, r = np.zeros((2, 44, 3, 3), dtype=bool)
    p[1:41, 1, 1] = True
    r[1:21, 1, 1] = True
    far = np.concatenate([np.zeros(20), np.arange(1, 21)])
    assert hd95_mm(p, r) == pytest.approx(np.percentile(far, 95))
    assert assd_mm(p, r) == pytest.approx(far.sum() / 60)


@pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_monai_agrees(seed: int, spacing: tuple[float, float, float]) -> None:
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    p, r = blobs(seed), blobs(seed + 100)
    batch = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (p, r)]
    hd95 = monai.compute_hausdorff_distance(*batch, include_background=True, percentile=95, spacing=spacing)
    assd = monai.compute_average_surface_distance(*batch, include_background=True, symmetric=True, spacing=spacing)
    assert hd95_mm(p, r, spacing) == pytest.approx(hd95.item(), rel=1e-5)
    assert assd_mm(p, r, spacing) == pytest.approx(assd.item(), rel=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_euclidean_distance_transform_agrees(spacing: tuple[float, float, float]) -> None:
    p, r = blobs(1), blobs(2)
    to_r, to_p = surface_distances_mm(MaskPair(p, r, spacing))
    field = ndimage.distance_transform_edt(~surface_of(r), sampling=spacing)
    assert np.allclose(to_r, field[surface_of(p)])
    assert to_p.size == surface_of(r).sum()


def test_the_hausdorff_distance_of_scikit_image_bounds_ours() -> None:
    judge = pytest.importorskip("skimage.metrics")
    p, r = blobs(4), blobs(5)
    longest = max(distances.max() for distances in surface_distances_mm(MaskPair(p, r)))
    assert longest == pytest.approx(judge.hausdorff_distance(surface_of(p), surface_of(r)))
    assert hd95_mm(p, r) <= longest


def test_order_and_axes_do_not_matter() -> None:
    p, r, spacing = blobs(6), blobs(7), SPACINGS[1]
    for metric in (hd95_mm, assd_mm):
        value = metric(p, r, spacing)
        assert metric(r, p, spacing) == pytest.approx(value)
        assert metric(p.transpose(2, 0, 1), r.transpose(2, 0, 1), (5.0, 0.7, 0.9)) == pytest.approx(value)
        assert metric(p[::-1], r[::-1], spacing) == pytest.approx(value)
