"""The manifest of a bundle: what the network is, wants and gives, who made it, and on what it was measured."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from willis.errors import BundleError
from willis.volume.plane import Plane

SCHEMA_VERSION = 1
"""The newest schema of `bundle.json` that this version of willis reads."""

ONNX_NETWORK = "onnx"
"""The network name of a foreign bundle, whose members are ONNX graphs and not weights of a network of ours."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Shape3 = tuple[Count, Count, Count]
Spacing = tuple[
    Annotated[float, Field(gt=0)],
    Annotated[float, Field(gt=0)],
    Annotated[float, Field(gt=0)],
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Network(_Part):
    """A network by its name in `nets/registry.py` (or "onnx") and the configuration it is built from."""

    name: Name
    config: dict[str, JsonValue] = Field(default_factory=dict)


class EarlierStage(_Part):
    """What is run before the network of a cascade and finds the same labels: its network, and the files of its members.

    The labels that it finds are further channels of the network's image, after those that `Manifest.channels` names.
    """

    network: Network
    members: tuple[FileName, ...] = ()


class Window(_Part):
    """How much of the volume the network sees at once: all of it, or windows of `shape` voxels.

    "slices": a stack of `shape[2]` slices gives the middle one, for 2.5D networks.
    """

    mode: Literal["whole", "sliding", "slices"] = "whole"
    shape: Shape3 | None = None
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _windows_have_a_shape(self) -> Self:
        if self.mode != "whole" and self.shape is None:
            raise ValueError(f"a {self.mode} window needs its shape")
        if self.mode == "slices" and self.shape is not None and self.shape[2] % 2 == 0:
            raise ValueError("a stack of slices needs a middle one: their number is odd")
        return self


class Intensity(_Part):
    """How intensities are scaled: divided by the brain's `percentile`; "p99-capped" cuts at `cap` and divides by it.

    "range" scales the whole image to [0, 1], for networks that are to find the brain itself; "zscore" gives the mask
    mean 0 and standard deviation 1, and cuts at ±`cap`; "slice-max" scales each slice so that its largest value is 255;
    "none" leaves values as they are.
    """

    scheme: Literal["p99", "p99-capped", "range", "zscore", "slice-max", "none"]
    percentile: Annotated[float, Field(gt=0, le=100)] = 99.0
    cap: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _cap_belongs_to_the_scheme(self) -> Self:
        if (self.scheme in ("p99-capped", "zscore")) != (self.cap is not None):
            raise ValueError("schemes 'p99-capped' and 'zscore' need a cap, and the others take none")
        return self


class PlaneView(_Part):
    """Slices of one plane as a 2D network is given them.

    `shape` are the rows and columns of the slice, zero-padded or cropped; `start` where the image's own first row and
    column lie in it, below 0 where rows or columns are cut off. Rows and columns are the two other axes of the RAS
    array in their order. `stack` slices stand for each channel: a slice and its neighbours along the axis, see
    `willis.infer.slices`; 1, the slice alone, is not written, so that the identity of other bundles stays.
    """

    plane: Plane
    shape: tuple[Count, Count]
    start: tuple[int, int] = (0, 0)
    stack: Count = 1


class Threshold(_Part):
    """The probability from which a voxel belongs to the mask, and where this value was chosen."""

    value: Annotated[float, Field(gt=0, lt=1)]
    origin: Text


class Rule(_Part):
    """A constant by which a task reads the network's answer, how far it is uncertain, and where it was chosen."""

    value: float
    spread: Annotated[float, Field(ge=0)] = 0.0
    origin: Text


class Clusters(_Part):
    """Which connected groups of voxels stay in the mask, and where these limits were chosen.

    Of several members each must find `agreed_voxels` of a group by itself; 0 asks no member. Groups whose mean
    probability is below `least_mean` are dropped unless they have `spared_voxels` or more; a mean of 0 drops none, and
    0 spared voxels spare none.
    """

    connectivity: Literal[6, 18, 26] = 26
    min_voxels: Count = 1
    max_outside_brain: Fraction = 1.0
    agreed_voxels: Annotated[int, Field(ge=0)] = 0
    least_mean: Fraction = 0.0
    spared_voxels: Annotated[int, Field(ge=0)] = 0
    origin: str = ""


class Calibration(_Part):
    """Platt scaling of the logits: sigmoid(slope * logit + intercept), and the cases it was fitted on."""

    slope: Annotated[float, Field(gt=0)]
    intercept: float
    origin: Text


class VolumeInterval(_Part):
    """Factors between which the true over the found volume lies, both with `offset_ml` added, and the cases behind it.

    `coverage` is the share of such cases to come that the interval holds; `willis.measure.conformal` fits it.
    """

    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    offset_ml: Annotated[float, Field(gt=0)]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    cases: Count
    origin: Text

    @model_validator(mode="after")
    def _low_is_not_above_high(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"the low factor {self.low:g} is above the high one {self.high:g}")
        return self


class Equivalence(_Part):
    """A measured agreement with float32 on torch, and the cases it was measured on.

    `dice` is the least of any mask of any case, two empty ones counting as 1; it decides whether the precision is taken
    unasked. `pooled` is the least Dice of an output over the voxels of all cases together.
    """

    precision: Literal["float16", "bfloat16", "float32"]
    engine: Literal["torch", "openvino", "onnx"]
    dice: Fraction
    pooled: Fraction | None = None
    max_difference: Annotated[float, Field(ge=0)]
    cases: Count
    on: str = ""


class Measured(_Part):
    """One measured figure of the model, and the cases it was measured on."""

    figure: Text
    value: float
    unit: str = ""
    on: Text


class Training(_Part):
    """How the weights were made: recipe and command that make them again, data, date, seed, steps."""

    recipe: Text
    command: Text
    data: Text
    date: Text
    seed: int
    steps: Annotated[int, Field(ge=0)]


class Manifest(_Part):
    """All that is known of a bundle, as it stands in its `bundle.json`.

    `axes` is the orientation (such as "LAS") to which a scan's own voxels are turned for a network that reads them.
    `previous` is the stage before, of a cascade. Both are written only where they are said, so that the identity of
    other bundles stays.
    """

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    name: Name
    version: Text = "1"
    title: Text
    task: Name
    description: str = ""
    network: Network
    members: tuple[FileName, ...] = ()
    previous: EarlierStage | None = None
    files: dict[FileName, Sha256] = Field(default_factory=dict)
    channels: Annotated[tuple[Name, ...], Field(min_length=1)]
    missing_channels: Literal["error", "zero"] = "error"
    outputs: Annotated[tuple[Name, ...], Field(min_length=1)]
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    spacing_mm: Spacing
    axes: str | None = None
    shape: Shape3 | None = None
    multiple_of: Count = 1
    window: Window = Window()
    planes: tuple[PlaneView, ...] = ()
    intensity: Intensity
    threshold: Threshold
    clusters: Clusters = Clusters()
    rules: dict[Name, Rule] = Field(default_factory=dict)
    calibration: Calibration | None = None
    volume_intervals: dict[Name, VolumeInterval] = Field(default_factory=dict)
    precision: tuple[Equivalence, ...] = ()
    measured: tuple[Measured, ...] = ()
    licence: Text
    citation: tuple[Text, ...] = ()
    intended_use: Text
    authors: tuple[Text, ...] = ()
    source: str = ""
    peculiarities: tuple[Text, ...] = ()
    training: Training | None = None

    @field_validator("axes")
    @classmethod
    def _axes_are_an_orientation(cls, axes: str | None) -> str | None:
        named = {pair for letter in axes or "" for pair in ("RL", "AP", "SI") if letter in pair}
        if axes is not None and (len(axes), len(named)) != (3, 3):
            raise ValueError(f"{axes!r} is no orientation; RAS, LPS and LAS are such")
        return axes

    @model_validator(mode="after")
    def _planes_have_members(self) -> Self:
        if len({view.plane for view in self.planes}) < len(self.planes):
            raise ValueError("a plane is named twice")
        if self.planes and self.clusters.agreed_voxels:
            raise ValueError("agreed_voxels asks members of volumes; a bundle of planes fuses its planes otherwise")
        if self.planes and self.clusters.least_mean:
            raise ValueError("least_mean asks a volume's probability; planes may be fused by vote")
        if len({view.stack for view in self.planes}) > 1:
            raise ValueError("the planes differ in the slices of a stack; one network configuration serves all of them")
        if self.planes and self.members and len(self.members) not in (1, len(self.planes)):
            raise ValueError(
                f"{len(self.planes)} planes need one member for all or one each; {len(self.members)} are named"
            )
        return self

    @model_validator(mode="after")
    def _members_are_of_the_network_s_kind(self) -> Self:
        stages = (self,) if self.previous is None else (self.previous, self)
        for stage in stages:
            suffix = ".onnx" if stage.network.name == ONNX_NETWORK else ".safetensors"
            for member in stage.members:
                if not member.endswith(suffix):
                    raise ValueError(f"member {member!r} of a {stage.network.name} network does not end in {suffix}")
        if self.files:
            unsummed = sorted({member for stage in stages for member in stage.members} - set(self.files))
            if unsummed:
                raise ValueError(f"no SHA-256 is given for {', '.join(unsummed)}")
        return self

    @property
    def inputs(self) -> int:
        """Channels that the network takes: those of the image, of planes each with its neighbouring slices."""
        return len(self.channels) * (self.planes[0].stack if self.planes else 1)

    def to_json(self) -> str:
        """Give the text of `bundle.json`: fields in the order of the schema, keys of mappings sorted."""
        values = self.model_dump(mode="json")
        for said in ("axes", "previous"):
            if values[said] is None:
                del values[said]
        for view in values["planes"]:
            if view["stack"] == 1:
                del view["stack"]
        for asked in ("agreed_voxels", "least_mean", "spared_voxels"):
            if not values["clusters"][asked]:
                del values["clusters"][asked]
        values["files"] = dict(sorted(values["files"].items()))
        for stage in (values, values.get("previous")):
            if stage is not None:
                stage["network"]["config"] = dict(sorted(stage["network"]["config"].items()))
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        return _short_lists_on_one_line(text) + "\n"

    def changed(self, **changes: Any) -> "Manifest":
        """Give a checked copy with some fields changed."""
        return make_manifest(self.model_dump() | changes, where=f"the changed manifest of {self.name}")


def _short_lists_on_one_line(text: str) -> str:
    """Join lists of plain numbers and short words, so that a shape is read at a glance.

    Only lists have line breaks here: those of a text are escaped.
    """
    item = r'(?:[^\[\]{}\s"]+|"[A-Za-z0-9._-]*")'
    return re.sub(
        rf"\[\n\s+({item}(?:,\n\s+{item})*)\n\s*\]",
        lambda found: "[" + re.sub(r",\n\s+", ", ", found.group(1)) + "]",
        text,
    )


def make_manifest(values: Mapping[str, Any], where: str) -> Manifest:
    """Check values against the schema and make a Manifest.

    Raises
    ------
    BundleError
        When a value is missing, unknown or not allowed; `where` names the source in the message.
    """
    version = values.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"{where} has schema version {version}; this willis reads versions up to {SCHEMA_VERSION}. Update willis."
        )
    try:
        return Manifest.model_validate(dict(values))
    except ValidationError as error:
        troubles = "; ".join(
            f"{'.'.join(str(step) for step in trouble['loc']) or 'manifest'}: {trouble['msg']}"
            for trouble in error.errors(include_url=False)
        )
        raise BundleError(f"{where} is not a valid manifest: {troubles}.") from None


def parse_manifest(text: str, where: str) -> Manifest:
    """Read the text of a `bundle.json`.

    Raises
    ------
    BundleError
        When it is not JSON, its schema is too new, or a value is not allowed.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise BundleError(f"{where} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise BundleError(f"{where} holds a JSON {type(values).__name__}; a manifest is an object.")
    return make_manifest(values, where)
