"""The fast engine: OpenVINO, from a network that is converted once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import platformdirs

from willis.errors import BadInputError, WillisError
from willis.infer.graph_memory import COMPILED_BYTES, graph_bytes, weight_values
from willis.infer.memory import BYTES_FLOAT16, BYTES_FLOAT32
from willis.infer.precision import Precision
from willis.infer.protocol import Float32, finite, is_onnx

if TYPE_CHECKING:
    from willis.models.store import Bundle

CACHE_VARIABLE = "WILLIS_CACHE"
NETWORK_FILE = "network.xml"
WEIGHTS_FILE = "network.bin"
CHECKSUMS_FILE = "SHA256SUMS"
CONVERSION = 3  # of networks; raised when they are converted in another way
BAD_INPUT = 2  # exit code of the conversion when the network can't take the shape
HALVES = ("float16", "bfloat16")
HINTS = {"float32": ov.Type.f32, "float16": ov.Type.f16, "bfloat16": ov.Type.bf16}


def cache_folder() -> Path:
    """Where converted networks are kept: ``$WILLIS_CACHE``, else the user's cache folder of willis."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("willis"))


def converted_member(bundle: Bundle, member: int, shape: tuple[int, ...]) -> Path:
    """The member as an OpenVINO network for one shape: from the cache, or converted with torch now and put there.

    Its key is the SHA-256 of the member's file, the network's configuration, the shape (N, C, I, J, K), the way of
    conversion and the versions of willis and OpenVINO, so that a changed bundle is never answered from the cache. A
    network whose files are not those that were put there is converted anew.
    """
    manifest = bundle.manifest
    described = {
        "member": manifest.files[manifest.members[member]],
        "network": manifest.network.name,
        "config": manifest.network.config,
        "shape": shape,
        "conversion": CONVERSION,
        "versions": [version("willis"), ov.get_version()],
    }
    key = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
    final = cache_folder() / "openvino" / key[:32]
    if not _is_whole(final):
        _convert(bundle, member, shape, final)
    return final / NETWORK_FILE


def _is_whole(folder: Path) -> bool:
    """Whether a converted network's files are what they were when they were written."""
    try:
        return (folder / CHECKSUMS_FILE).read_text(encoding="ascii") == _checksums(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _checksums(folder: Path) -> str:
    """A line for each file of a converted network: SHA-256 and name, as ``sha256sum`` has it."""
    return "".join(f"{_sha256(folder / name)}  {name}\n" for name in (NETWORK_FILE, WEIGHTS_FILE))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _convert(bundle: Bundle, member: int, shape: tuple[int, ...], final: Path) -> None:
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=final.parent))
    except OSError as error:
        raise BadInputError(
            f"{final.parent}, where networks converted for OpenVINO are kept, can't be written to ({error.strerror}). "
            f"Name another folder with the variable {CACHE_VARIABLE}, or use --engine torch."
        ) from error
    aside = building.with_name(f"{building.name}-damaged")
    try:
        _export(bundle, member, shape, building / NETWORK_FILE)
        (building / CHECKSUMS_FILE).write_text(_checksums(building), encoding="ascii")
        if final.exists() and not _is_whole(final):
            with suppress(OSError):  # another process may have mended it meanwhile
                final.rename(aside)
        try:
            building.rename(final)
        except OSError:  # another process was first; what it wrote is the same
            if not _is_whole(final):
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(building, ignore_errors=True)


def _export(bundle: Bundle, member: int, shape: tuple[int, ...], path: Path) -> None:
    sides = ",".join(str(side) for side in shape)
    command = [sys.executable, "-m", "willis.infer.torch_export", str(bundle.member_path(member)), sides, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == BAD_INPUT:
        raise BadInputError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise WillisError(f"{bundle.name} could not be converted for OpenVINO: {reason}. Use --engine torch.")


class OpenVinoEngine:
    """Runs a network on the processor with OpenVINO, compiled for the shape of the image that it is given.

    Parameters
    ----------
    model
        Gives the network for a shape (N, C, I, J, K).
    precision, threads
        See :func:`willis.infer.engine.open_engine`.
    """

    name = "openvino"

    def __init__(
        self,
        model: Callable[[tuple[int, ...]], ov.Model],
        *,
        precision: Precision = "float32",
        threads: int | None = None,
    ) -> None:
        self.precision: str = precision
        self._model = model
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        self._shape: tuple[int, ...] | None = None
        self._request: Any = None

    @classmethod
    def of_member(cls, bundle: Bundle, member: int, *, precision: Precision, threads: int | None) -> OpenVinoEngine:
        """The engine of one member of a bundle, converted if need be."""

        def model(shape: tuple[int, ...]) -> ov.Model:
            if not is_onnx(bundle):
                return ov.Core().read_model(converted_member(bundle, member, shape))
            foreign = ov.Core().read_model(bundle.member_bytes(member))
            foreign.reshape(list(shape))
            return foreign

        return cls(model, precision=precision, threads=threads)

    def needed_bytes(self, shape: tuple[int, ...]) -> int:
        """The weights as stored and as packed, the plugin, and the peak of the maps that are alive together."""
        model = self._model(shape)
        value = BYTES_FLOAT16 if self.precision in HALVES else BYTES_FLOAT32
        weights = weight_values(model)
        return weights * (BYTES_FLOAT32 + value) + COMPILED_BYTES + graph_bytes(model, value)

    def __call__(self, x: Float32) -> Float32:
        """Logits (N, L, I, J, K) of images (N, C, I, J, K), both float32."""
        if x.shape != self._shape:
            self._request = None
            compiled = ov.Core().compile_model(self._model(x.shape), "CPU", self._settings)
            self._request, self._shape = compiled.create_infer_request(), x.shape
        self._request.infer([ov.Tensor(np.ascontiguousarray(x, dtype=np.float32), shared_memory=True)])
        return finite(np.array(self._request.get_output_tensor(0).data, dtype=np.float32), self)
