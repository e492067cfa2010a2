"""Bundles with a plan: the memory that their arrays take is estimated, and members are opened one at a time."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from willis.errors import BundleError
from willis.infer import planned
from willis.infer.nnunet import predict_labels
from willis.infer.planned import planned_bytes, predict_planned
from willis.models.nnunet_plan import ChannelValues, NnunetPlan
from willis.models.publish import write_bundle
from willis.nets.registry import build_network

VALUES = ChannelValues(scheme="CTNormalization", low=-20, high=90, mean=34, std=16)
CONFIG = {"inputs": 1, "outputs": 3, "features": [2, 3], "kernels": [[3, 3, 3]] * 2,
          "strides": [[1, 1, 1], [2, 2, 2]], "convs": [1, 1], "decoder_convs": [1]}  # fmt: skip


def plan(**changes) -> NnunetPlan:
    fields = {"flat": False, "transpose": (0, 1, 2), "spacing_mm": (1, 1, 1), "patch": (8, 8, 8), "values": (VALUES,)}
    return NnunetPlan(**{**fields, **changes})


def shares(count: int):
    def engine(x):
        return np.concatenate([x[:, :1] * k for k in range(count)], axis=1)

    return engine


@pytest.mark.parametrize("outputs", [2, 6])
@pytest.mark.parametrize(
    ("spacing", "said"),
    [
        ((1.0, 1.0, 1.0), plan()),
        ((1.0, 1.0, 1.0), plan(spacing_mm=(2, 2, 2))),
        ((1.0, 1.0, 1.0), plan(spacing_mm=(0.8, 0.8, 0.8))),
        ((0.8, 0.9, 5.0), plan(spacing_mm=(2.5, 1, 1))),
        ((1.0, 1.0, 1.0), plan(flat=True, patch=(1, 16, 16))),
        ((1.0, 1.0, 1.0), plan(regions=True, patch=(80, 16, 16))),
    ],
)
def test_arrays_take_what_was_estimated(spacing, said, outputs):
    images = np.random.default_rng(0).normal(30, 20, (1, 72, 64, 48)).astype(np.float32)
    expected = planned_bytes(images.shape, spacing, said, outputs)
    tracemalloc.start()
    predict_labels([shares(outputs)], images, spacing, said)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 * expected < peak < 1.05 * expected


@pytest.fixture
def bundle(tmp_path, manifest_maker):
    manifest = manifest_maker(
        network={"name": "plainunet", "config": {**CONFIG, "plan": plan().model_dump(mode="json")}},
        channels=["ncct"],
        outputs=["background", "m1", "m2"],
    )
    return write_bundle(tmp_path / "b", manifest, [build_network("plainunet", CONFIG).state_dict()] * 3, half=False)


def test_members_are_opened_when_the_one_before_is_gone(bundle, monkeypatch):
    opened, alive = [], []
    really = planned.open_engine

    def watched(*arguments, **settings):
        gc.collect()
        alive.append(sum(reference() is not None for reference in opened))
        engine = really(*arguments, **settings)
        opened.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr(planned, "open_engine", watched)
    image = np.random.default_rng(0).normal(30, 20, (1, 9, 8, 10)).astype(np.float32)
    labels = predict_planned(bundle, image, (1, 1, 1), (1, 2), engine="torch", threads=1)
    assert labels.shape == image.shape[1:]
    assert alive == [0, 0, 0]


def test_a_bundle_without_a_plan_is_refused(make_bundle):
    with pytest.raises(BundleError, match="has no plan to be run by"):
        predict_planned(make_bundle(1), np.zeros((1, 4, 4, 4), np.float32), (1, 1, 1), (1,))
