"""The publication's measures on made-up answers whose numbers are known beforehand."""

import numpy as np
import pytest

from willis.learn.case import Case
from willis.measure.kappa import cohen_kappa
from willis.tasks.fvv.published_measures import PublishedMeasures, slice_classes

SHAPE = (20, 20, 4)
SPACING = (2.0, 2.0, 5.0)


def maps(visible: int, hidden: int, slices: int = 4) -> np.ndarray:
    """(3, 20, 20, 4) brain everywhere; so many voxels of infarct in each of the first slices, visible or not."""
    out = np.zeros((3, *SHAPE), np.uint8)
    out[0] = 1
    line = np.zeros((400, 4), np.uint8)
    line[: visible + hidden, :slices] = 1
    out[1] = line.reshape(SHAPE)
    line[visible:] = 0
    out[2] = line.reshape(SHAPE)
    return out


def case(target: np.ndarray) -> Case:
    image = np.zeros((2, *SHAPE), np.float32)
    return Case(image, target, np.ones(SHAPE, bool), "01", SPACING)


def measured(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    measures = PublishedMeasures()
    return measures.of_all([measures.of_case(found.astype(np.float32), case(true)) for true, found in pairs])


def test_slices_are_classed_by_the_visible_share_of_their_infarct() -> None:
    infarct, visible = np.zeros((10, 10, 5), bool), np.zeros((10, 10, 5), bool)
    infarct.reshape(100, 5)[:50, 1:] = True
    infarct.reshape(100, 5)[:3, 0] = True
    for k, count in enumerate((3, 5, 25, 45, 50)):
        visible.reshape(100, 5)[:count, k] = True
    assert slice_classes(infarct, visible, 4.0).tolist() == [0, 1, 2, 3, 3]
    assert slice_classes(infarct, visible, 6.0).tolist() == [3, 1, 2, 3, 3]


def test_perfect_answers_have_perfect_measures() -> None:
    patients = [maps(30, 30), maps(0, 40), maps(0, 0), maps(60, 0)]
    found = measured([(patient, patient) for patient in patients])
    assert {name: found[name] for name in ("dice_global", "kappa_slices", "auc", "kappa_patients")} == dict.fromkeys(
        ("dice_global", "kappa_slices", "auc", "kappa_patients"), 1.0
    )
    assert found["threshold_ml"] < 30 * 4 * 0.02


def test_dice_is_that_of_all_voxels_together() -> None:
    """Visible parts of 40 and 30 voxels share 30; hidden ones of 20 and 30 share 20; another patient is all hidden."""
    found = measured([(maps(40, 20), maps(30, 30)), (maps(0, 40), maps(0, 40))])
    visible = 2 * 30 / (40 + 30)
    hidden = 2 * (20 + 40) / (20 + 40 + 30 + 40)
    assert found["dice_global"] == pytest.approx((visible + hidden) / 2)


def test_a_score_that_is_upside_down_has_no_auc() -> None:
    found = measured([(maps(50, 0), maps(0, 50)), (maps(0, 50), maps(50, 0))])
    assert found["auc"] == 0
    assert found["kappa_patients"] <= 0
    assert found["kappa_slices"] < 0


def test_patients_of_one_kind_have_no_auc() -> None:
    assert "auc" not in measured([(maps(50, 0), maps(50, 0))])


def test_calibration_is_that_of_all_voxels_in_the_masks() -> None:
    """Infarct promised 0.8 where a half is true in one patient and all in another, as large: 0.75 came true."""
    measures = PublishedMeasures()
    true = [maps(0, 200), maps(0, 400)]
    found = np.zeros((3, *SHAPE))
    found[0], found[1] = 1, 0.8
    counts = [measures.of_case(found, case(one)) for one in true]
    measured_ = measures.of_all(counts)
    assert measured_["ece_brain"] == measured_["ece_flairvisible"] == 0
    assert measured_["ece_lesion"] == pytest.approx(0.8 - 0.75)
    rows = [row for row in measures.tables(counts)["calibration"] if row["output"] == "lesion"]
    assert [(row["from"], row["to"]) for row in rows] == [(k / 10, (k + 1) / 10) for k in range(10)]
    full = [row for row in rows if row["voxels"]]
    assert len(full) == 1 and full[0]["voxels"] == 2 * 400 * 4
    assert (full[0]["promised"], full[0]["observed"]) == pytest.approx((0.8, 0.75))


def test_voxels_outside_the_mask_are_not_judged() -> None:
    target, found = maps(0, 200), np.zeros((3, *SHAPE))
    found[1] = 0.3
    whole = case(target)
    half = Case(whole.image, target, np.moveaxis(np.indices(SHAPE), 0, -1)[..., 2] < 2, "01", SPACING)
    target[1, :, :, 2:] = 0
    measures = PublishedMeasures()
    assert measures.of_case(found, half).promises[1].count.sum() == 800
    assert measures.of_all([measures.of_case(found, half)])["ece_lesion"] == pytest.approx(0.2)


def test_kappa_of_a_known_table() -> None:
    """Cohen's two by two: 20 and 15 agreed, 5 and 10 not; observed 0.7, by chance 0.5."""
    one = [1] * 25 + [0] * 25
    two = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(one, two) == pytest.approx(0.4)
    assert np.isnan(cohen_kappa([1, 1], [1, 1]))
