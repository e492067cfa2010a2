"""A bundle whose convolutions run in 8-bit integers, made from a trained one and kept only if it finds the same.

Weights are rounded by channel, activations by the range that calibration images give each map (static post-training
quantisation [1]_, as ONNX Runtime makes it). The first and the last convolution stay in float32; where the masks change
too much, the two first and last, then the three.

References
----------
.. [1] Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only inference,
   CVPR. doi:10.1109/CVPR.2018.00286
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, BundleError, MissingExtraError
from willis.infer.engine import open_engine
from willis.infer.ensemble import predict
from willis.infer.export import export_bundle
from willis.infer.protocol import INT8, Float32
from willis.infer.windows import padded, tiles
from willis.models.manifest import ONNX_NETWORK, Measured
from willis.models.store import open_bundle, write_bundle
from willis.units import counted

if TYPE_CHECKING:
    from willis.models.store import Bundle

LEAST_DICE = 0.99
WINDOWS_PER_IMAGE = 6
REPEATS = 3  # of a timed call, of which the quickest counts
MOST_OUTER = 3  # convolutions at either end that may stay in float32
INPUT = "image"  # of exported graphs
CONVOLUTIONS = ("Conv", "ConvTranspose")
Mask = npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Int8Likeness:
    """How an int8 bundle compares with the one that it was made of, both by OpenVINO.

    Parameters
    ----------
    dice
        Of the masks of each output over all cases together, by name; nan where both are empty.
    max_difference
        Of a probability.
    seconds, seconds_int8
        CPU time of one window through the first member, float32 and int8.
    cases
        How many were compared.
    """

    dice: dict[str, float]
    max_difference: float
    seconds: float
    seconds_int8: float
    cases: int

    @property
    def least_dice(self) -> float:
        """Of the outputs that are found at all; 0 where none is."""
        return min((d for d in self.dice.values() if not np.isnan(d)), default=0.0)


def int8_bundle(
    bundle: Bundle,
    folder: Path,
    calibration: Iterable[tuple[Float32, Mask]],
    cases: Sequence[tuple[Float32, Mask]],
    *,
    shape: tuple[int, int, int] | None = None,
    threads: int | None = None,
) -> Int8Likeness:
    """Write an ONNX bundle with int8 convolutions, if its masks are those of the bundle in float32.

    Parameters
    ----------
    bundle
        Holds weights of a network of willis.
    folder
        Is made, and only if every output's Dice is at least 0.99.
    calibration
        Images (C, I, J, K), prepared as for a run, each with its brain mask (I, J, K) or None: they set the ranges.
    cases
        Others, on which both are compared.
    shape
        Voxels that the network is given; the bundle's window or grid when None.
    threads
        Of the processor.

    Raises
    ------
    BadInputError
        When the bundle holds ONNX already or is one of planes or with a plan, the folder exists, no shape is known,
        images are missing, or the network has no convolution between the first and the last.
    BundleError
        When the masks differ too much.
    MissingExtraError
        When OpenVINO or ONNX Runtime is not installed.
    """
    for package, extra in (("onnxruntime", "onnx"), ("onnx", "onnx"), ("openvino", "openvino")):
        if not find_spec(package):
            raise MissingExtraError(package, extra, "make an int8 bundle")
    if bundle.manifest.planes or bundle.manifest.network.config.get("plan"):
        raise BadInputError(
            f"{bundle.name} is run slice by slice or by a plan, and int8 is compared on whole volumes and windows; it "
            "stays in float32."
        )
    with tempfile.TemporaryDirectory() as made:
        exported = export_bundle(bundle, Path(made) / "float32", "onnx", shape)
        window = shape or bundle.manifest.window.shape or bundle.manifest.shape
        assert window is not None  # else nothing was exported
        seen = [one for image, mask in calibration for one in _windows(image, mask, window)]
        if not seen or not cases:
            raise BadInputError(
                "an int8 bundle needs images to calibrate on and others to compare on; none were given."
            )
        floating = open_bundle(exported)
        manifest = floating.manifest.changed(network={"name": ONNX_NETWORK, "config": {"numbers": INT8}})
        expected = [_probability(bundle, image, mask, threads) for image, mask in cases]
        tried: list[Int8Likeness] = []
        count = len(_convolutions(floating.member_bytes(0)))
        if count <= 2:
            raise BadInputError(
                f"{bundle.name} has {counted(count, 'convolution')}, and none between the first and the last."
            )
        for outer in range(1, min(MOST_OUTER, (count - 1) // 2) + 1):
            graphs = (quantised(floating.member_bytes(k), seen, outer) for k in range(len(floating.manifest.members)))
            rounded = write_bundle(Path(made) / "int8", manifest, graphs, replace=True)
            tried.append(_compared(bundle, rounded, cases, expected, seen[0], threads))
            if tried[-1].least_dice >= LEAST_DICE:
                members = (rounded.member_bytes(k) for k in range(len(rounded.manifest.members)))
                figures = (*manifest.measured, *_figures(tried[-1]))
                write_bundle(folder, manifest.changed(measured=figures), members)
                return tried[-1]
    raise BundleError(_refusal(bundle.name, tried))


def _refusal(name: str, tried: Sequence[Int8Likeness]) -> str:
    said = "; ".join(
        f"{outer} at either end in float32: "
        + ", ".join(f"{output} {value:.4f}" for output, value in found.dice.items())
        + f", {found.seconds_int8:.3f} s of CPU time a window"
        for outer, found in enumerate(tried, start=1)
    )
    return (
        f"int8 changes the masks of {name} too much and isn't kept. Dice with float32 ({tried[0].seconds:.3f} s a "
        f"window), convolutions {said}. At least {LEAST_DICE} is needed for every output."
    )


def quantised(graph: bytes, windows: Sequence[Float32], outer: int = 1) -> bytes:
    """An ONNX graph with its inner convolutions in int8.

    Parameters
    ----------
    graph
        In float32.
    windows
        (1, C, I, J, K) images that set the ranges.
    outer
        Convolutions at either end that stay in float32.
    """
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._left = iter({name: window} for window in windows)

        def get_next(self) -> dict[str, Float32] | None:
            return next(self._left, None)

    with tempfile.TemporaryDirectory() as made, _quiet():
        plain, prepared, done = (str(Path(made) / name) for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        Path(plain).write_bytes(graph)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        names = _convolutions(Path(prepared).read_bytes())
        quantize_static(
            prepared,
            done,
            Reader(INPUT),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(CONVOLUTIONS),
            nodes_to_exclude=[*names[:outer], *names[-outer:]],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return Path(done).read_bytes()


def _convolutions(graph: bytes) -> list[str]:
    """Names of an ONNX graph's convolutions, first to last."""
    import onnx

    return [node.name for node in onnx.load_from_string(graph).graph.node if node.op_type in CONVOLUTIONS]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's remarks on its own workings, which go to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _windows(image: Float32, mask: Mask, window: tuple[int, int, int]) -> Iterator[Float32]:
    """Some (1, C, *window) of an image (C, I, J, K), spread over its mask."""
    full, inner = padded(np.asarray(image, dtype=np.float32), window)
    inside = None
    if mask is not None:
        inside = np.zeros(full.shape[1:], dtype=bool)
        inside[inner] = mask
    every = tiles((full.shape[1], full.shape[2], full.shape[3]), window, 0.0, inside)
    for index in np.unique(np.linspace(0, len(every) - 1, WINDOWS_PER_IMAGE).round().astype(int)):
        yield full[(slice(None), *every[index])][None]


def _probability(bundle: Bundle, image: Float32, mask: Mask, threads: int | None) -> Float32:
    return predict(bundle, image, mask=mask, engine="openvino", precision="float32", threads=threads).probability


def _compared(
    bundle: Bundle,
    rounded: Bundle,
    cases: Sequence[tuple[Float32, Mask]],
    expected: Sequence[Float32],
    window: Float32,
    threads: int | None,
) -> Int8Likeness:
    threshold = bundle.manifest.threshold.value
    overlap, sizes = np.zeros((2, len(bundle.manifest.outputs)))
    largest = 0.0
    for (image, mask), one in zip(cases, expected, strict=True):
        other = _probability(rounded, image, mask, threads)
        largest = max(largest, float(np.abs(one - other).max()))
        first, second = (_masks(p, bundle.manifest.activation, threshold) for p in (one, other))
        overlap += (first & second).sum(axis=(1, 2, 3))
        sizes += first.sum(axis=(1, 2, 3)) + second.sum(axis=(1, 2, 3))
    with np.errstate(invalid="ignore"):
        dice = 2 * overlap / sizes
    seconds, seconds_int8 = (_cpu_seconds(b, window, threads) for b in (bundle, rounded))
    names = dict(zip(bundle.manifest.outputs, map(float, dice), strict=True))
    return Int8Likeness(names, largest, seconds, seconds_int8, len(cases))


def _masks(p: Float32, activation: str, threshold: float) -> npt.NDArray[np.bool_]:
    """(L, I, J, K) of probabilities: of a softmax the likeliest output's, else those that reach the threshold."""
    if activation != "softmax":
        return np.asarray(p >= threshold)
    return np.asarray(p.argmax(axis=0) == np.arange(len(p)).reshape(-1, 1, 1, 1))


def _cpu_seconds(bundle: Bundle, window: Float32, threads: int | None) -> float:
    engine = open_engine(bundle, 0, engine="openvino", precision="float32", threads=threads)
    engine(window)
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        engine(window)
        spent.append(time.process_time() - start)
    return min(spent)


def _figures(found: Int8Likeness) -> list[Measured]:
    on = f"{counted(found.cases, 'case')}, int8 against float32, both by OpenVINO"
    figures = [
        Measured(figure=f"Dice of {name} with that of float32", value=round(value, 4), on=on)
        for name, value in found.dice.items()
        if not np.isnan(value)
    ]
    times = (("float32", found.seconds), ("int8", found.seconds_int8))
    return [
        *figures,
        *(Measured(figure=f"CPU time of a window, {n}", value=round(s, 4), unit="s", on=on) for n, s in times),
    ]
