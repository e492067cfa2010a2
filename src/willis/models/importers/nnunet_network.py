"""The network that nnU-Net's plans describe as one of ours, and a checkpoint's weights under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from willis.errors import BadInputError
from willis.models.manifest import Network
from willis.models.nnunet_plan import NnunetPlan
from willis.nets.plainunet import SLOPE, PlainUNetConfig
from willis.nets.registry import build_network

ARCHITECTURES = {"PlainConvUNet": "plainunet", "ResidualEncoderUNet": "resencunet"}
COUNTS = {"plainunet": "n_conv_per_stage", "resencunet": "n_blocks_per_stage"}
SIZES = frozenset(
    {"n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage_decoder", "conv_bias"}
    | {"norm_op", "norm_op_kwargs", "nonlin", "nonlin_kwargs"}
)  # of a network, beside COUNTS
_STAGE = re.compile(
    r"^(encoder\.stages\.(?P<e>\d+)\.\d+|decoder\.stages\.(?P<d>\d+))\.convs\.(?P<n>\d+)\.(?P<rest>(conv|norm)\.\w+)$"
)
_STEM = re.compile(r"^encoder\.stem\.convs\.0\.((?:conv|norm)\.\w+)$")
_BLOCK = re.compile(r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\.(conv1|conv2|skip)\.(?:\d+\.)?((?:conv|norm)\.\w+)$")
_UP = re.compile(r"^decoder\.transpconvs\.(\d+)\.(weight|bias)$")
_TWICE = re.compile(r"^decoder\.encoder\.|\.all_modules\.\d+\.")  # other names of what is there already
_HEAD = re.compile(r"^decoder\.seg_layers\.(\d+)\.(weight|bias)$")


def read_network(configuration: Mapping[str, Any], outputs: int, plan: NnunetPlan) -> Network:
    """The network that a configuration of the plans describes, as one of ours.

    Raises
    ------
    BadInputError
        When it is neither nnU-Net's plain one nor that with a residual encoder, or of plans from before version 2.2.
    """
    about = configuration.get("architecture")
    if about is None:
        raise BadInputError(
            "the plans don't describe their network; they are older than nnU-Net 2.2 and can't be read."
        )
    kind = str(about["network_class_name"]).rpartition(".")[2]
    size = {key: value for key, value in about["arch_kwargs"].items() if value is not None}
    if kind not in ARCHITECTURES:
        raise BadInputError(f"the plans' network is {kind}; known are {', '.join(ARCHITECTURES)}.")
    name = ARCHITECTURES[kind]
    norm, slope = size.get("norm_op_kwargs", {}), size.get("nonlin_kwargs", {}).get("negative_slope", SLOPE)
    strange = [key for key, value in size.items() if key not in SIZES | {COUNTS[name]} and value]
    if not str(size.get("norm_op", "")).endswith(("InstanceNorm2d", "InstanceNorm3d")):
        strange.append("norm_op")
    if not str(size.get("nonlin", "")).endswith("LeakyReLU") or slope != SLOPE:
        strange.append("nonlin")
    if strange:
        raise BadInputError(
            f"the plans' {kind} has {strange[0]} = {size.get(strange[0])}; known are instance normalisation, leaky "
            f"ReLU of slope {SLOPE:g} and no more than nnU-Net's own planners ask for."
        )
    stages = size.get("n_stages", 0)
    fields = {
        "inputs": len(plan.values) + (plan.previous.channels if plan.previous else 0),
        "outputs": outputs,
        "features": _each(size.get("features_per_stage"), stages),
        "kernels": [_triple(k, plan.flat) for k in _each(size.get("kernel_sizes"), stages)],
        "strides": [_triple(s, plan.flat) for s in _each(size.get("strides"), stages)],
        "convs": _each(size.get(COUNTS[name]), stages),
        "decoder_convs": _each(size.get("n_conv_per_stage_decoder"), stages - 1),
        "bias": size.get("conv_bias", False),
        "norm_eps": norm.get("eps", 1e-5),
        "norm_affine": norm.get("affine", False),
        "plan": plan.model_dump(mode="json"),
    }
    config = PlainUNetConfig.parse(fields, f"the plans' {kind}")
    return Network(name=name, config=config.model_dump(mode="json"))


def renamed(state: Mapping[str, Tensor], network: Network, file: Path) -> dict[str, Tensor]:
    """A checkpoint's weights under our names; what it holds twice, and deep supervision's heads, left out.

    Raises
    ------
    BadInputError
        When one is missing, left over or of another shape.
    """
    with torch.device("meta"):
        built = build_network(network.name, network.config)
    wanted = {name: tuple(value.shape) for name, value in built.state_dict().items()}
    last = max(int(name.split(".")[1]) for name in wanted if name.startswith("up."))
    found = {}
    for name, value in state.items():
        ours = _our_name(name, last)
        if ours in wanted:
            found[ours] = value.unsqueeze(2) if value.ndim == 4 else value
            if tuple(found[ours].shape) != wanted[ours]:
                raise BadInputError(f"{file}: {name} has shape {tuple(value.shape)}; the plans ask for {wanted[ours]}.")
        elif not (_TWICE.search(name) or ((head := _HEAD.match(name)) and int(head[1]) < last)):
            raise BadInputError(f"{file} holds {name}, which the network that its plans describe doesn't have.")
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise BadInputError(
            f"{file} lacks {len(missing)} of the weights that its plans ask for, the first {missing[0]}."
        )
    return {name: found[name] for name in wanted}


def _our_name(name: str, last: int) -> str:
    if stage := _STAGE.match(name):
        part = f"encoder.{stage['e']}" if stage["e"] is not None else f"decoder.{stage['d']}"
        return f"{part}.{stage['n']}.{stage['rest']}"
    if stem := _STEM.match(name):
        return f"encoder.0.0.{stem[1]}"
    if block := _BLOCK.match(name):
        return f"encoder.{block[1]}.{int(block[2]) + (block[1] == '0')}.{block[3]}.{block[4]}"
    if up := _UP.match(name):
        return f"up.{up[1]}.{up[2]}"
    if (head := _HEAD.match(name)) and int(head[1]) == last:
        return f"head.{head[2]}"
    return ""


def _each(values: Any, stages: int) -> list[Any]:
    """One value a stage, of as many or of one for all."""
    return list(values) if isinstance(values, (list, tuple)) else [values] * stages


def _triple(sides: Any, flat: bool) -> tuple[int, int, int]:
    values = [sides] * (2 if flat else 3) if isinstance(sides, int) else list(sides)
    i, j, k = [1, *values] if flat else values
    return i, j, k
