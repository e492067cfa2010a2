"""Territories brought to a patient whose place is known: the template, moved; and what is said where they can't be."""

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from willis.image.midline import Midline
from willis.measure.overlap import dice
from willis.tasks.ct_template import bring_territories, template
from willis.tasks.perfusion.interpret import Reading
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.tasks.perfusion.territory import (
    find_territories,
    measure_territories,
    note_of_territory,
    region_of,
    territory_table,
    told_of_territory,
)
from willis.tasks.territories import PLACES, RIGHT, TERRITORIES, Place, largest, sided, volumes_ml
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SHAPE, SPACING = (58, 66, 16), (3.5, 3.5, 8.0)


@cache
def moved():
    """The template as a patient with slices of 8 mm, turned, shifted and larger: CT, brain, territories, right half."""
    there = np.eye(4)
    there[:3, :3] = Rotation.from_euler("xyz", [8, -4, 6], degrees=True).as_matrix() @ np.diag([0.95, 0.93, 0.97])
    there[:3, 3] = (3.0, -6.0, 5.0)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2) + [0, -18, 10]
    grid = Grid(SHAPE, affine)

    def placed(name, how):
        return resample_to(template(name), grid, how, world_transform=there, fill=-1000.0 if name == "ct" else 0)

    codes = placed("territories", "nearest").data
    x = grid.to_mm(np.stack(np.indices(SHAPE), -1)) @ there[0, :3] + there[0, 3]
    return placed("ct", "linear"), placed("brain", "nearest"), codes, x > 0


@pytest.mark.parametrize(("way", "least"), [("ct", 0.9), ("outline", 0.8)])
def test_territories_lie_where_the_template_was_moved_to(way, least):
    ct, brain, codes, right = moved()
    found = bring_territories(brain, right, ct if way == "ct" else None)
    assert found.codes is not None and not found.codes[brain.data == 0].any()
    for place in PLACES:
        if place.name != "vertebrobasilar":
            assert dice(found.codes == place.code, codes == place.code) > least, place


def test_few_slices_and_other_shapes_are_said():
    ct, brain, _, right = moved()
    low = brain.with_data(np.where(np.arange(SHAPE[2]) < 9, brain.data, 0))
    few = brain.with_data(np.where(np.arange(SHAPE[2]) // 4 == 2, brain.data, 0))
    assert bring_territories(few, right, ct).note == "32 mm of brain are seen from below to above; 80 are needed"
    cube = np.zeros(SHAPE, np.uint8)
    cube[27:31, :, :] = 1
    assert bring_territories(brain.with_data(cube), right, None).codes is None
    assert "needed" in bring_territories(low, right, ct).note


def made_up(way="maps"):
    _, brain, codes, _ = moved()
    inside = brain.data > 0
    maps = {"tmax": Volume(np.zeros(SHAPE, np.float32), brain.grid, "tmax")}
    prepared = PreparedMaps(maps, "tmax", inside, inside, Midline((1.0, 0.0, 0.0), 0.0), None, way)
    late = codes == Place("mca", "right").code
    core = late & (np.indices(SHAPE)[2] > 9)
    return prepared, Reading(late, late, core, late & ~core, None, None, None, None, True)


def test_the_finding_is_named_by_its_territory():
    prepared, reading = made_up()
    brought = find_territories(prepared, reading)
    ml = prepared.grid.voxel_ml
    assert told_of_territory(brought, reading, ml).endswith(
        "% of the hypoperfused tissue lies in the right MCA territory."
    )
    rows = {(r["territory"], r["side"]): r for r in territory_table(brought, prepared, {"core": reading.core})}
    assert rows["MCA", "right"]["core_share_percent"] > 75 and rows["MCA", "left"]["core_volume_ml"] == 0
    measured = measure_territories(brought, reading, ml)
    total = sum(m.value for name, m in measured.items() if name.endswith("_core_volume"))
    assert total == pytest.approx(reading.core[brought.codes > 0].sum() * ml)
    assert region_of(brought, reading.core, "right") == "core right MCA"
    assert "outline" in note_of_territory(brought)


def test_nothing_is_told_of_colour_maps_and_of_what_is_not_there():
    prepared, reading = made_up("colours")
    brought = find_territories(prepared, reading)
    assert "colour-coded map doesn't show" in note_of_territory(brought)
    assert told_of_territory(brought, reading, 1.0) == "" and territory_table(brought, prepared, {}) == []
    assert region_of(brought, reading.core, "left") == "core left"
    none = Reading(np.zeros(SHAPE, bool), None, None, None, None, None, None, None, True)
    assert note_of_territory(find_territories(made_up()[0], none)) == ""


def test_codes_and_places_belong_together():
    codes = np.array([place.code for place in PLACES], np.uint8)
    assert len(set(codes.tolist())) == 2 * len(TERRITORIES)
    volumes = volumes_ml(codes, np.ones(len(codes), bool), 0.5)
    assert set(volumes.values()) == {0.5}
    assert largest(dict.fromkeys(PLACES, 0.0)) is None
    assert (sided(codes, np.ones(len(codes), bool)) > RIGHT).all()
    assert (sided(codes, np.zeros(len(codes), bool)) < RIGHT).all()
