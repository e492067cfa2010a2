"""How like float32 a bundle's masks are in another precision: the measurement that lets ``auto`` choose it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.infer.engine import choose_engine, open_engine
from willis.infer.ensemble import predict, probabilities
from willis.infer.nnunet import placed_logits
from willis.infer.planes import predict_planes
from willis.infer.precision import LEAST_DICE, Precision
from willis.infer.protocol import EngineChoice, EngineName, Float32, is_onnx
from willis.models.manifest import Equivalence
from willis.models.nnunet_plan import plan_of
from willis.models.store import Bundle
from willis.volume.plane import Plane

Mask = npt.NDArray[np.bool_] | None
Image = Float32 | Mapping[Plane, Float32]
Found = dict[str, npt.NDArray[np.floating]]


@dataclass(frozen=True)
class PrecisionLikeness:
    """How masks in a precision compare with those of float32 on the reference engine.

    Parameters
    ----------
    precision, engine
        What was measured.
    least
        By name of the output, and of an output of each plane: the least Dice of a case; 1 where both masks are empty.
    pooled
        The same over the voxels of all cases together.
    max_difference
        Of a probability.
    cases
        How many were compared.
    """

    precision: Precision
    engine: EngineName
    least: dict[str, float]
    pooled: dict[str, float]
    max_difference: float
    cases: int

    @property
    def dice(self) -> float:
        """The least of all; it decides."""
        return min(self.least.values())

    @property
    def proven(self) -> bool:
        """Whether ``auto`` may take the precision."""
        return self.dice >= LEAST_DICE

    def for_manifest(self, on: str = "") -> Equivalence:
        """The entry for ``Manifest.precision``; ``on`` says which cases."""
        return Equivalence(
            precision=self.precision,
            engine=self.engine,
            dice=self.dice,
            pooled=min(self.pooled.values()),
            max_difference=self.max_difference,
            cases=self.cases,
            on=on,
        )


def measure_equivalence(
    bundle: Bundle,
    cases: Iterable[tuple[Image, Mask]],
    *,
    precision: Precision,
    engine: EngineChoice = "auto",
    threads: int | None = None,
    tell: Callable[[int, Mapping[str, float]], None] | None = None,
) -> PrecisionLikeness:
    """Dice of every mask, and largest difference of probability, against float32 on the reference engine.

    The masks are those of the bundle's threshold, or of the largest probability where it ends in a softmax. Of a bundle
    of planes they are the fused ones and each plane's.

    Parameters
    ----------
    bundle
        Of any kind: whole volumes, windows, stacks of slices, planes, or run by a plan.
    cases
        Validation images (C, I, J, K), prepared as for a run, each with its brain mask (I, J, K) or None. For a bundle
        of planes, such an image by plane; for one with a plan, in the plan's own axes, spacing and values.
    precision, engine
        What is measured; this processor must multiply the precision. The reference is torch, of ONNX bundles ONNX
        Runtime.
    threads
        Of the processor; None for all that the process may use.
    tell
        Called after each case with its number, from 1, and its Dice by name.

    Raises
    ------
    BadInputError
        When there are no cases, the processor doesn't multiply the precision, or the bundle is a cascade or gives one
        answer for a whole scan.
    """
    if bundle.manifest.previous is not None:
        raise BadInputError(f"{bundle.name} is a cascade, whose precision can't be measured; it is run in float32.")
    if _one_answer(bundle):
        raise BadInputError(f"{bundle.name} gives one answer for a whole scan and no mask; it is run in float32.")
    measured = choose_engine(engine, onnx_bundle=is_onnx(bundle))
    reference = choose_engine("onnx" if is_onnx(bundle) else "torch", onnx_bundle=is_onnx(bundle))
    overlaps: list[dict[str, tuple[int, int]]] = []
    largest = 0.0
    for image, mask in cases:
        expected = _found(bundle, image, mask, reference, "float32", threads)
        found = _found(bundle, image, mask, measured, precision, threads)
        largest = max(largest, *(float(np.abs(found[name] - expected[name]).max()) for name in expected))
        here, there = _masks(bundle, found), _masks(bundle, expected)
        overlaps.append({name: _overlap(here[name], there[name]) for name in there})
        if tell:
            tell(len(overlaps), {name: _dice([overlap]) for name, overlap in overlaps[-1].items()})
    if not overlaps:
        raise BadInputError("an equivalence of precisions needs at least one validation case; none was given.")
    by_name = {name: [overlap[name] for overlap in overlaps] for name in overlaps[0]}
    return PrecisionLikeness(
        precision,
        measured,
        {name: min(_dice([one]) for one in all_) for name, all_ in by_name.items()},
        {name: _dice(all_) for name, all_ in by_name.items()},
        largest,
        len(overlaps),
    )


def _one_answer(bundle: Bundle) -> bool:
    from willis.nets.registry import NETWORKS  # torch, which a run in OpenVINO doesn't need

    network = NETWORKS.get(bundle.manifest.network.name)
    return network is not None and bool(getattr(network[0], "one_answer", False))


def _found(
    bundle: Bundle, image: Image, mask: Mask, engine: EngineName, precision: Precision, threads: int | None
) -> Found:
    """Probabilities (I, J, K) by name, as a run makes them."""
    manifest = bundle.manifest
    if isinstance(image, Mapping):
        fused = predict_planes(bundle, image, mask=mask, engine=engine, precision=precision, threads=threads)
        named = dict(zip(manifest.outputs, fused.probability, strict=True))
        for view, alone in zip(manifest.planes, fused.members, strict=True):
            named |= {f"{output} {view.plane}": one for output, one in zip(manifest.outputs, alone, strict=True)}
        return named
    if (plan := plan_of(manifest)) is not None:
        members = range(len(manifest.members))
        engines = (open_engine(bundle, k, engine=engine, precision=precision, threads=threads) for k in members)
        p = probabilities(placed_logits(engines, image, plan), "sigmoid" if plan.regions else "softmax")
    else:
        p = predict(bundle, image, mask=mask, engine=engine, precision=precision, threads=threads).probability
    return dict(zip(manifest.outputs, p, strict=True))


def _masks(bundle: Bundle, found: Found) -> dict[str, npt.NDArray[np.bool_]]:
    manifest, plan = bundle.manifest, plan_of(bundle.manifest)
    if manifest.activation == "softmax" or (plan is not None and not plan.regions):
        winner = np.argmax(list(found.values()), axis=0)
        return {name: winner == index for index, name in enumerate(found)}
    return {name: p >= manifest.threshold.value for name, p in found.items()}


def _overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> tuple[int, int]:
    return int(np.count_nonzero(one & other)), int(np.count_nonzero(one) + np.count_nonzero(other))


def _dice(overlaps: Sequence[tuple[int, int]]) -> float:
    shared, total = (sum(column) for column in zip(*overlaps, strict=True))
    return 2.0 * shared / total if total else 1.0
