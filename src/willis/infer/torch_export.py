"""A torch member turned into an OpenVINO network on disk; the only step of the fast engine that needs torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import openvino as ov
import torch
from torch import nn

from willis.errors import BundleError, WillisError
from willis.infer.lowered import lower
from willis.infer.lowered_plainunet import LoweredPlainUNet
from willis.infer.moments import by_moments
from willis.infer.torch_engine import member_network
from willis.models.bundle import Bundle, read_bundle
from willis.nets.plainunet import PlainUNet

BAD_INPUT = 2  # exit code


def convert(network: nn.Module, shape: tuple[int, ...]) -> ov.Model:
    """The network as an OpenVINO model for images of one shape (N, C, I, J, K); nothing is computed."""
    lowered = by_moments(LoweredPlainUNet(network).eval() if isinstance(network, PlainUNet) else lower(network))
    with torch.no_grad():
        program = torch.export.export(lowered, (torch.zeros(shape),))
    model = ov.convert_model(program)
    model.reshape(list(shape))
    return model


def export(bundle: Bundle, member: int, shape: tuple[int, ...], path: Path) -> None:
    """Write one member as OpenVINO's ``.xml`` and ``.bin``, its numbers unrounded."""
    ov.save_model(convert(member_network(bundle, member), shape), path, compress_to_fp16=False)


def main(arguments: Sequence[str]) -> int:
    """Write one member as :func:`export` does.

    Run as a process of its own, so that torch and its copies of the weights are gone when the prediction starts.

    Parameters
    ----------
    arguments
        Path of the member's file in its bundle's folder, shape as ``1,2,160,214,176``, path of the ``.xml``.

    Returns
    -------
    0; or 2 after a sentence on standard error, when the network can't take that shape.
    """
    file, sides, path = arguments
    try:
        bundle, member = _holder(Path(file))
        export(bundle, member, tuple(int(side) for side in sides.split(",")), Path(path))
    except WillisError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    return 0


def _holder(file: Path) -> tuple[Bundle, int]:
    """The stage of a bundle that a member's file belongs to, and the member's index in it."""
    for stage in read_bundle(file.parent).stages:
        if file.name in stage.manifest.members:
            return stage, stage.manifest.members.index(file.name)
    raise BundleError(f"{file} is no member of the bundle in its folder.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
