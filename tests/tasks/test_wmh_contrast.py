import numpy as np
import pytest

from willis.tasks.wmh.contrast import contrast_notes

RADIUS = np.linalg.norm(np.indices((60, 60, 60)) - 29.5, axis=0)
PARTS = {
    "brain": RADIUS < 28,
    "cortex": (RADIUS >= 24) & (RADIUS < 28),
    "ventricles": RADIUS < 8,
    "cerebellum": np.zeros_like(RADIUS, bool),
    "brainstem": np.zeros_like(RADIUS, bool),
}


def image(cortex, white, fluid):
    rng = np.random.default_rng(0)
    tissue = np.select([PARTS["ventricles"], PARTS["cortex"], PARTS["brain"]], [fluid, cortex, white], 0.0)
    return (tissue + rng.normal(0, 3, RADIUS.shape)).astype(np.float32)


T1, FLAIR, T2 = image(70, 100, 30), image(110, 100, 40), image(110, 90, 250)


def said(**images):
    return contrast_notes(images, PARTS.__getitem__)


def test_images_of_their_own_contrast_give_no_note():
    assert said(t1=T1, flair=FLAIR) == said(flair=FLAIR) == said(flair=1e-3 * FLAIR) == []


def test_exchanged_images_are_told():
    (note,) = said(t1=FLAIR, flair=T1)
    assert "look exchanged" in note and "1.10 times as bright as white matter in the T1 and 0.70 times" in note


def test_one_image_for_both_is_told_and_a_t1_alone_for_the_flair():
    (twice,) = said(t1=FLAIR, flair=FLAIR)
    assert "look exchanged" in twice
    (alone,) = said(flair=T1)
    assert "The FLAIR doesn't look like one: its cortex is 0.70 times" in alone


def test_a_flair_whose_cortex_is_as_dark_as_its_white_matter_is_one_still():
    """Fluid among the gyri darkens it in phantoms and in atrophy."""
    assert said(t1=T1, flair=image(90, 100, 40)) == []


@pytest.mark.parametrize("role", ["t1", "flair"])
def test_a_t2_is_told_by_its_fluid(role):
    (note,) = said(**{role: T2})
    assert "ventricles are 2.78 times" in note
    assert role.upper() in note


def test_lesions_of_a_fifth_of_the_white_matter_do_not_turn_it():
    flair = FLAIR.copy()
    flair[(RADIUS >= 8) & (RADIUS < 15)] = 190
    assert said(flair=flair) == []


def test_parts_too_small_to_tell_say_nothing():
    assert contrast_notes({"flair": T1}, lambda name: PARTS[name] & (RADIUS < 4)) == []
