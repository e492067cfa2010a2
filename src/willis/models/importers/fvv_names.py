"""Names of the weights in FVV's checkpoints, and those of ``nets.deeplab25d``."""

from __future__ import annotations

import re
from pathlib import Path

from willis.errors import BadInputError

WRAPPED = ".conv3D"  # stands in the names when the 3D library wraps its convolutions; both layouts are published
_NORM = r"(weight|bias|running_mean|running_var)"
_RULES = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"encoder\._conv_stem\.weight", r"encoder.stem.conv.weight"),
        (rf"encoder\._bn0\.{_NORM}", r"encoder.stem.norm.\1"),
        (r"encoder\._conv_head\.weight", r"encoder.head.conv.weight"),
        (rf"encoder\._bn1\.{_NORM}", r"encoder.head.norm.\1"),
        (r"encoder\._blocks\.(\d+)\._expand_conv\.weight", r"encoder.blocks.\1.expand.conv.weight"),
        (rf"encoder\._blocks\.(\d+)\._bn0\.{_NORM}", r"encoder.blocks.\1.expand.norm.\2"),
        (r"encoder\._blocks\.(\d+)\._depthwise_conv\.weight", r"encoder.blocks.\1.depthwise.conv.weight"),
        (rf"encoder\._blocks\.(\d+)\._bn1\.{_NORM}", r"encoder.blocks.\1.depthwise.norm.\2"),
        (r"encoder\._blocks\.(\d+)\._se_reduce\.(weight|bias)", r"encoder.blocks.\1.reduce.\2"),
        (r"encoder\._blocks\.(\d+)\._se_expand\.(weight|bias)", r"encoder.blocks.\1.widen.\2"),
        (r"encoder\._blocks\.(\d+)\._project_conv\.weight", r"encoder.blocks.\1.project.conv.weight"),
        (rf"encoder\._blocks\.(\d+)\._bn2\.{_NORM}", r"encoder.blocks.\1.project.norm.\2"),
        (r"decoder\.aspp\.0\.convs\.0\.0\.weight", r"decoder.pyramid.near.conv.weight"),
        (rf"decoder\.aspp\.0\.convs\.0\.1\.{_NORM}", r"decoder.pyramid.near.norm.\1"),
        (r"decoder\.aspp\.0\.convs\.4\.1\.weight", r"decoder.pyramid.whole.conv.weight"),
        (rf"decoder\.aspp\.0\.convs\.4\.2\.{_NORM}", r"decoder.pyramid.whole.norm.\1"),
        (r"decoder\.aspp\.0\.project\.0\.weight", r"decoder.pyramid.join.conv.weight"),
        (rf"decoder\.aspp\.0\.project\.1\.{_NORM}", r"decoder.pyramid.join.norm.\1"),
        (r"decoder\.aspp\.1\.0\.weight", r"decoder.smooth.depth.weight"),
        (r"decoder\.aspp\.1\.1\.weight", r"decoder.smooth.point.conv.weight"),
        (rf"decoder\.aspp\.2\.{_NORM}", r"decoder.smooth.point.norm.\1"),
        (r"decoder\.block1\.0\.weight", r"decoder.skip.conv.weight"),
        (rf"decoder\.block1\.1\.{_NORM}", r"decoder.skip.norm.\1"),
        (r"decoder\.block2\.0\.0\.weight", r"decoder.fuse.depth.weight"),
        (r"decoder\.block2\.0\.1\.weight", r"decoder.fuse.point.conv.weight"),
        (rf"decoder\.block2\.1\.{_NORM}", r"decoder.fuse.point.norm.\1"),
        (r"(?:segmentation_head\.0|seghead0)\.(weight|bias)", r"head.\1"),
    )
)
_ATROUS = re.compile(rf"decoder\.aspp\.0\.convs\.([123])\.(0\.0\.weight|0\.1\.weight|1\.{_NORM})")


def our_name(name: str, path: Path) -> str:
    """The name in our network of an array of a published checkpoint, of either layout.

    >>> our_name("encoder._blocks.3._depthwise_conv.conv3D.weight", Path("model1.pth"))
    'encoder.blocks.3.depthwise.conv.weight'

    Raises
    ------
    BadInputError
        When the published network has no such array.
    """
    plain = name.replace(WRAPPED, "")
    if found := _ATROUS.fullmatch(plain):
        place, what = int(found[1]) - 1, found[2]
        ends = {"0.0.weight": "depth.weight", "0.1.weight": "point.conv.weight"}
        return f"decoder.pyramid.atrous.{place}.{ends.get(what, f'point.norm.{found[3]}')}"
    for pattern, ours in _RULES:
        if found := pattern.fullmatch(plain):
            return found.expand(ours)
    raise BadInputError(f"{path} holds {name}, which the published FVV network doesn't have; it is another network.")
