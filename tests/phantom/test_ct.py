"""CT of phantoms: values, age, slices, tilt, noise and its texture, errors of projections."""

import numpy as np
import pytest

from willis.phantom import ct
from willis.phantom.ct_scan import CtProtocol, ct_grid, ct_noise, ct_protocol, ct_volume, projection_errors, scan_ct
from willis.phantom.labels import Tissue
from willis.phantom.scanner import scanner_grid

SHAPE = (120, 120, 60)


@pytest.fixture(scope="module")
def base():
    return scanner_grid("RAS", SHAPE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def codes():
    """A ball of white matter in a shell of bone, in air."""
    x, y, z = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SHAPE], indexing="ij")
    r = np.sqrt(x**2 + y**2 + (z * 2.0) ** 2)
    out = np.zeros(SHAPE, np.uint8)
    out[r < 48] = Tissue.BONE
    out[r < 40] = Tissue.WHITE_MATTER
    return out


def protocol_for(base, *, slice_mm=5.0, tilt=0.0, hardening=0.0, streaks=0.0, side=128, seed=0):
    drawn = ct_protocol(np.random.default_rng(seed), base.centre_mm, slice_mm=slice_mm, side=side, field_mm=128.0,
                        height_mm=60.0, tilt_deg=tilt)  # fmt: skip
    return CtProtocol(drawn.geometry, drawn.kernel, tilt, hardening, streaks)


def test_every_tissue_has_a_value_and_grey_matter_is_denser_than_white():
    for seed in range(30):
        table = ct.draw_hu(np.random.default_rng(seed), 30 + 2 * seed)
        assert 15 < table["white"] < table["cortex"] < 50
        assert table["csf"] < table["white"] < table["clot"]
        assert table.by_code()[[int(t) for t in Tissue if t != Tissue.AIR]].min() > -200
    assert ct.draw_hu(None).by_code()[0] == ct.AIR_HU


def test_bone_loses_density_with_age_and_blood_too():
    young, old = ct.draw_hu(None, 25), ct.draw_hu(None, 85)
    assert young["bone"] > old["bone"] and young["venous blood"] > old["venous blood"]
    assert young["white"] == old["white"]


def test_old_people_have_more_calcium():
    rng = np.random.default_rng(0)
    codes = np.full((24, 24, 24), Tissue.CHOROID_PLEXUS, np.uint8)

    def share(age):
        return np.mean([(ct.ideal_ct(rng, codes, ct.draw_hu(None, age)) > 80).any() for _ in range(60)])

    assert share(80) > share(20) + 0.2


@pytest.mark.parametrize("slice_mm", [0.5, 2.5, 10.0])
def test_a_scan_keeps_the_mean_value_and_thin_slices_are_noisier(base, codes, slice_mm):
    ideal = ct.draw_hu(None).by_code()[codes]
    protocol = protocol_for(base, slice_mm=slice_mm)
    image = scan_ct(np.random.default_rng(1), ideal, base, protocol)
    assert image.shape == protocol.grid.shape
    i, j, k = (n // 2 for n in image.shape)
    middle = image[i - 16 : i + 16, j - 16 : j + 16, k - 1 : k + 1]
    assert abs(middle.mean() - 30.0) < 1.0
    assert middle.std() == pytest.approx(protocol.geometry.noise, rel=0.25)
    thick = protocol_for(base, slice_mm=5.0).geometry.noise
    assert protocol.geometry.noise == pytest.approx(thick * np.sqrt(5.0 / slice_mm))


def test_a_tilted_gantry_gives_a_sheared_grid_that_shows_the_same_head(base, codes):
    grid = ct_grid((64, 64, 10), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), 20.0)
    i, j, k = grid.directions.T
    assert np.degrees(np.arcsin(abs(j @ k))) == pytest.approx(20.0)
    assert np.allclose(k, (0, 0, 1)) and abs(i @ j) < 1e-9 and abs(i @ k) < 1e-9
    ideal = ct.draw_hu(None).by_code()[codes]
    volumes = []
    for tilt in (0.0, 20.0):
        protocol = protocol_for(base, slice_mm=2.0, tilt=tilt)
        bone = scan_ct(np.random.default_rng(0), ideal, base, protocol) > 500
        volumes.append(np.count_nonzero(bone) * protocol.grid.voxel_ml)
    assert volumes[0] == pytest.approx(volumes[1], rel=0.06)


def test_noise_has_unit_spread_and_the_texture_of_filtered_back_projection():
    noise = ct_noise(np.random.default_rng(0), (128, 128, 40), (0.5, 0.5, 5.0), "soft")
    assert noise.std() == pytest.approx(1.0, abs=0.03)
    power = (np.abs(np.fft.fft2(noise, axes=(0, 1))) ** 2).mean(axis=2)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(128, 0.5), np.fft.fftfreq(128, 0.5), indexing="ij"))
    low, middle, high = (power[(f >= a) & (f < b)].mean() for a, b in ((0, 0.03), (0.1, 0.2), (0.6, 0.9)))
    assert middle > 2 * low and middle > 20 * high
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean()
    assert abs(neighbours) < 0.02


def test_beam_hardening_darkens_what_lies_between_dense_bones(base):
    codes = np.full(SHAPE, Tissue.WHITE_MATTER, np.uint8)
    codes[20:40, 50:70] = codes[80:100, 50:70] = Tissue.BONE
    ideal = ct.draw_hu(None).by_code()[codes]
    protocol = protocol_for(base, hardening=1.0)
    errors = projection_errors(
        np.random.default_rng(0), scan_ct(np.random.default_rng(0), ideal, base, protocol), protocol
    )
    middle, beside = errors[60:68, 60:68].mean(), errors[60:68, 100:108].mean()
    assert middle < beside - 2.0
    none = projection_errors(
        np.random.default_rng(0), np.zeros((64, 64, 8), np.float32), protocol_for(base, hardening=1.0)
    )
    assert np.abs(none).max() < 1e-6


def test_streaks_come_with_the_seed_and_stored_values_are_whole(base, codes):
    ideal = ct.draw_hu(None).by_code()[codes]
    protocol = protocol_for(base, streaks=0.01)
    same = [scan_ct(np.random.default_rng(5), ideal, base, protocol) for _ in range(2)]
    assert np.array_equal(*same)
    volume = ct_volume(same[0] * 9, protocol.grid)
    assert volume.data.dtype == np.int16 and volume.unit == "HU"
    assert volume.data.min() >= -1024 and volume.data.max() <= 3071
