"""The phantoms that a WMH recipe asks for."""

import pytest

from willis.errors import BadInputError
from willis.phantom.lesions import LARGE_LOAD_ML
from willis.tasks.wmh.dataset import PhantomSource, training_cases


@pytest.mark.slow
def test_large_share_reaches_the_phantoms() -> None:
    source = training_cases({"large_share": 1.0, "phantom": {"seed": 10}})
    assert isinstance(source, PhantomSource)
    case = source.case(1)
    assert case.target.sum() / 1000 > 0.5 * LARGE_LOAD_ML[0]
    as_usual = training_cases({"phantom": {"seed": 10}})
    assert not as_usual.case(1).target.any()


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(BadInputError, match="large_share"):
        training_cases({"large_share": share})
