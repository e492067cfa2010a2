"""Between what ends a volume is said to lie: by members, or as measured on phantoms."""

import pytest

from willis.models.manifest import make_manifest
from willis.tasks.spread import methods_of, volume_spread
from willis.tasks.wmh.dataset import manifest_fields

AS_THE_BUNDLE_SAYS = {"threshold": None, "min_size": None}
KNOWN = {"low": 0.5, "high": 2.0, "offset_ml": 1.0, "coverage": 0.9, "cases": 39, "origin": "39 phantoms"}


def manifest_of(**more):
    return make_manifest({**manifest_fields({}), "network": {"name": "unet3d"}, **more}, "a test")


def spread_of(manifest, alone, options=AS_THE_BUNDLE_SAYS):
    return volume_spread(manifest, options, "wmh_volume", 9.0, alone, "member")


def test_without_a_measured_interval_members_and_ensemble_give_the_ends():
    spread = spread_of(manifest_of(), [9.5, 8.0])
    assert spread.ends == (8.0, 9.5)
    assert str(spread) == "8.0 to 9.5 by member"
    assert methods_of(spread) == ""


def test_the_ensemble_may_lie_outside_of_its_members():
    assert spread_of(manifest_of(), [9.5, 10.0]).ends == (9.0, 10.0)


def test_one_member_says_nothing():
    assert spread_of(manifest_of(), [9.0]) is None
    assert methods_of(None) == ""


def test_a_measured_interval_comes_before_the_members():
    spread = spread_of(manifest_of(volume_intervals={"wmh_volume": KNOWN}), [8.0, 9.5])
    assert spread.ends == (4.0, 19.0)
    assert str(spread) == "4.0 to 19.0 in 90 % of phantoms"
    assert spread.share_of(1000.0) == pytest.approx((0.4, 1.9))
    assert "90 % of 39 phantoms" in methods_of(spread)


@pytest.mark.parametrize("changed", [{"threshold": 0.3}, {"min_size": 50.0}])
def test_it_is_not_used_where_the_user_reads_the_network_otherwise(changed):
    manifest = manifest_of(volume_intervals={"wmh_volume": KNOWN})
    assert spread_of(manifest, [], AS_THE_BUNDLE_SAYS | changed) is None


def test_it_is_that_of_its_own_measurement():
    assert spread_of(manifest_of(volume_intervals={"lesion_volume": KNOWN}), []) is None
