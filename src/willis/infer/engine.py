"""The choice of which kind of engine runs a member of a bundle."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, get_args

from willis.errors import BadInputError, MissingExtraError, invalid_option
from willis.infer.precision import Precision, PrecisionChoice, choose_precision
from willis.infer.protocol import INT8, Engine, EngineChoice, EngineName, is_int8, is_onnx

if TYPE_CHECKING:
    from willis.models.store import Bundle


def choose_engine(asked: EngineChoice, *, onnx_bundle: bool = False, int8: bool = False) -> EngineName:
    """Settle which engine runs a bundle: OpenVINO when it is installed, else torch; ONNX Runtime for ONNX files.

    ONNX files in 8-bit integers are OpenVINO's, when it is installed: ONNX Runtime multiplies those of 3D slowly.

    Raises
    ------
    BadInputError
        When the name is unknown, or the engine can't run a bundle of this kind.
    MissingExtraError
        When the engine isn't installed.
    """
    if asked not in get_args(EngineChoice):
        raise invalid_option("engine", asked, get_args(EngineChoice))
    if asked == "auto":
        if onnx_bundle and not (int8 and find_spec("openvino")):
            return "onnx"
        return "openvino" if find_spec("openvino") else "torch"
    if asked == "torch" and onnx_bundle:
        raise BadInputError("this bundle holds ONNX files, which torch doesn't run; use --engine onnx or openvino.")
    if asked == "onnx" and not onnx_bundle:
        raise BadInputError("this bundle holds safetensors, which ONNX Runtime doesn't run; use torch or openvino.")
    if asked == "openvino" and not find_spec("openvino"):
        raise MissingExtraError("openvino", "openvino", "run a network with OpenVINO")
    if asked == "onnx" and not find_spec("onnxruntime"):
        raise MissingExtraError("onnxruntime", "onnx", "run an ONNX bundle")
    return asked


def open_engine(
    bundle: Bundle,
    member: int,
    *,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    threads: int | None = None,
) -> Engine:
    """Make one member of a bundle ready to be run.

    Parameters
    ----------
    bundle
        The bundle; its files are verified as they are read.
    member
        Index into ``bundle.manifest.members``.
    engine
        ``auto`` is OpenVINO when installed, else torch; ONNX Runtime for ONNX bundles in float32.
    precision
        See :func:`willis.infer.precision.choose_precision`; of what was measured, what holds for this engine counts. A
        bundle in 8-bit integers takes no other than float32.
    threads
        Processor threads; None for all that the process may use.

    Raises
    ------
    BadInputError
        When engine, precision and bundle don't fit each other.
    MissingExtraError
        When the engine isn't installed.
    """
    rounded = is_int8(bundle)
    chosen = choose_engine(engine, onnx_bundle=is_onnx(bundle), int8=rounded)
    measured = [m for m in bundle.manifest.precision if m.engine == chosen]
    settled = choose_precision(precision, measured)
    if rounded and settled != "float32":
        raise BadInputError(f"{bundle.name} runs in int8; {settled} was asked for. Leave --precision out.")
    opened = _of_kind(chosen, bundle, member, settled, threads)
    if rounded:
        opened.precision = INT8
    return opened


def _of_kind(kind: EngineName, bundle: Bundle, member: int, precision: Precision, threads: int | None) -> Engine:
    if kind == "torch":
        from willis.infer.torch_engine import TorchEngine

        return TorchEngine.of_member(bundle, member, precision=precision, threads=threads)
    if kind == "openvino":
        from willis.infer.openvino_engine import OpenVinoEngine

        return OpenVinoEngine.of_member(bundle, member, precision=precision, threads=threads)
    from willis.infer.onnx_engine import OnnxEngine

    return OnnxEngine.of_member(bundle, member, precision=precision, threads=threads)
