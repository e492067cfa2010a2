import numpy as np
import pytest

from willis.errors import BadInputError
from willis.infer.equivalence import measure_equivalence
from willis.infer.precision import multiplies_natively


def test_float32_on_the_same_engine_is_equal(make_bundle, image):
    found = measure_equivalence(make_bundle(1), [(image, None)], precision="float32", engine="torch")
    assert (found.dice, found.max_difference, found.cases) == (1.0, 0.0, 1)
    assert (found.engine, found.precision) == ("torch", "float32")


@pytest.mark.skipif(not multiplies_natively("bfloat16"), reason="this processor doesn't multiply bfloat16")
def test_bfloat16_is_like_float32_and_not_equal(make_bundle, image):
    other = np.ascontiguousarray(image[:, ::-1])
    empty = np.zeros(image.shape[1:], bool)
    found = measure_equivalence(
        make_bundle(1), [(image, None), (other, None), (image, empty)], precision="bfloat16", engine="torch"
    )
    assert 0.9 < found.dice < 1
    assert 1e-4 < found.max_difference < 0.2
    assert found.cases == 3


def test_no_cases_are_no_measurement(make_bundle):
    with pytest.raises(BadInputError, match="at least one"):
        measure_equivalence(make_bundle(1), [], precision="float32", engine="torch")
