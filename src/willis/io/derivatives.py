"""Derivatives: the files of a run, named as BIDS has it, whole or absent, and read back.

See ``docs/reference/outputs.md`` for each file. BIDS 1.10, "Derivatives", https://bids-specification.readthedocs.io
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from willis.errors import BadInputError
from willis.findings import Attachment, Figure, Findings, Mask
from willis.io.nifti import read_nifti, sha256_of, write_nifti
from willis.io.records import (
    LESION_COLUMNS,
    LESION_LABELS,
    MEASUREMENT_COLUMNS,
    figure_record,
    findings_of,
    lesion_rows,
    measurement_rows,
    seeks_lesions,
    summary_record,
)
from willis.io.tables import plain, read_table, write_json, write_table
from willis.io.whole_folder import settle, staging_for

BIDS_VERSION = "1.10.0"
PROVENANCE = "provenance.json"
DESCRIPTION = "dataset_description.json"
FIGURES = "figures/figures.json"
ATTACHMENTS = "published"
REPORT = "report.html"
BOOKKEEPING = ("task", "prefix", "outputs", "complete")  # keys that provenance.json has beside the findings' own

_IMAGE_NAME = re.compile(
    r"_space-(?P<space>[A-Za-z0-9]+)_label-(?P<label>[A-Za-z0-9]+)_(?P<kind>mask|probseg|map)\.nii\.gz$"
)
_WORD = re.compile(r"[A-Za-z0-9]+")
_FIGURE_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ATTACHMENT_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def output_names(findings: Findings) -> list[str]:
    """Names of all files that :func:`write_derivatives` makes of these findings, relative to their folder.

    Raises
    ------
    BadInputError
        When a label, a space or a figure's name can't stand in a file name, or two files would bear one name.
    """
    described = f"{findings.prefix}_desc-{findings.task}"
    names = [image_name(findings.prefix, mask, "mask") for mask in findings.masks]
    names += [image_name(findings.prefix, mask, "probseg") for mask in findings.probabilities]
    names += [image_name(findings.prefix, mask, "map") for mask in findings.maps]
    names += [name.replace(".nii.gz", ".json") for name in names]
    names += [f"{described}_measurements.tsv", f"{described}_measurements.json"]
    names += [f"{described}_lesions.tsv"] if seeks_lesions(findings) else []
    names += [_figure_name(figure) for figure in findings.figures]
    names += [_attachment_name(attachment) for attachment in findings.attachments]
    names += [FIGURES, DESCRIPTION, PROVENANCE]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInputError(f"two outputs would bear the same name: {', '.join(sorted(twice))}.")
    return names


def image_name(prefix: str, mask: Mask, kind: str) -> str:
    """File name of a mask or probability map: ``sub-01_space-flair_label-wmh_mask.nii.gz``."""
    for word in (mask.space, mask.label):
        if not _WORD.fullmatch(word):
            raise BadInputError(f"{word!r} can't stand in a file name; a space or label is letters and digits only.")
    return f"{prefix}_space-{mask.space}_label-{mask.label}_{kind}.nii.gz"


def write_derivatives(findings: Findings, out: Path | str) -> list[Path]:
    """Write masks, tables, figures and provenance of one run.

    All files are made in a hidden folder beside ``out``, or in it where it exists, and get their names when complete.
    An earlier run of the same subject and task, on at least one of the same images, is replaced whole; no other file
    is touched.

    Parameters
    ----------
    findings
        Of one study and task.
    out
        The run's folder, made when absent.

    Returns
    -------
    list of Path
        The files written, those of :func:`output_names`.

    Raises
    ------
    BadInputError
        When ``out`` is a file, holds the results of another subject, task or scan, or holds other files under the
        names to be written, an input among them.
    """
    out = Path(out)
    names = output_names(findings)
    digests = _digests(findings.provenance)
    _refuse_inputs(digests, out, [*names, REPORT])
    earlier = earlier_outputs(findings.prefix, findings.task, digests, out)
    if DESCRIPTION not in earlier and (out / DESCRIPTION).exists():
        names.remove(DESCRIPTION)
    _refuse_unknown(findings, out, [*names, REPORT], earlier)
    with staging_for(out) as staging:
        _write_files(findings, staging, names)
        _write_provenance(findings, staging, names, complete=True)
        if not out.exists():
            settle(staging, out)
        else:
            _move_into(findings, staging, out, names, earlier)
    return [out / name for name in names]


def read_derivatives(out: Path | str) -> Findings:
    """Read back the findings that :func:`write_derivatives` wrote.

    Raises
    ------
    BadInputError
        When the folder holds no complete run.
    """
    out = Path(out)
    provenance = _read_json(out / PROVENANCE, "a folder that willis has written a complete run to")
    if not provenance.get("complete"):
        raise BadInputError(f"the run in {out} was broken off while its files were written. Run it again.")
    described = f"{provenance['prefix']}_desc-{provenance['task']}"
    images: dict[str, list[Mask]] = {"mask": [], "probseg": [], "map": []}
    for name in provenance["outputs"]:
        if found := _IMAGE_NAME.search(name):
            volume = read_nifti(out / name, role=found["label"], allow_empty=True)
            images[found["kind"]].append(Mask(found["label"], found["space"], volume))
    figures = [
        Figure(**record, png=(out / "figures" / f"{record['name']}.png").read_bytes())
        for record in _read_json(out / FIGURES, "its list of figures")
    ]
    return findings_of(
        _read_json(out / f"{described}_measurements.json", "the run's measurements"),
        read_table(out / f"{described}_lesions.tsv") if f"{described}_lesions.tsv" in provenance["outputs"] else [],
        {key: value for key, value in provenance.items() if key not in BOOKKEEPING},
        figures=figures,
        masks=images["mask"],
        probabilities=images["probseg"],
        maps=images["map"],
        attachments=[
            Attachment(name.removeprefix(f"{ATTACHMENTS}/"), (out / name).read_bytes())
            for name in provenance["outputs"]
            if name.startswith(f"{ATTACHMENTS}/")
        ],
    )


def _write_files(findings: Findings, folder: Path, names: Iterable[str]) -> None:
    described = folder / f"{findings.prefix}_desc-{findings.task}_measurements.tsv"
    for kind, masks, dtype in (
        ("mask", findings.masks, np.uint8),
        ("probseg", findings.probabilities, np.float32),
        ("map", findings.maps, np.float32),
    ):
        for mask in masks:
            name = image_name(findings.prefix, mask, kind)
            write_nifti(mask.volume.with_data(mask.volume.data.astype(dtype, copy=False)), folder / name)
            write_json(_sidecar(findings, mask, kind), folder / name.replace(".nii.gz", ".json"))
    write_table(measurement_rows(findings), described, MEASUREMENT_COLUMNS)
    write_json(summary_record(findings), described.with_suffix(".json"))
    if seeks_lesions(findings):
        lesions = described.with_name(described.name.replace("_measurements", "_lesions"))
        write_table(lesion_rows(findings), lesions, LESION_COLUMNS)
    write_json([figure_record(figure) for figure in findings.figures], folder / FIGURES)
    for figure in findings.figures:
        (folder / _figure_name(figure)).write_bytes(figure.png)
    for attachment in findings.attachments:
        place = folder / _attachment_name(attachment)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(attachment.content)
    if DESCRIPTION in names:
        write_json(_description(findings), folder / DESCRIPTION)


def _write_provenance(findings: Findings, folder: Path, outputs: list[str], *, complete: bool) -> None:
    own = {key: value for key, value in plain(findings.provenance).items() if key not in BOOKKEEPING}
    kept = {"task": findings.task, "prefix": findings.prefix, **own, "outputs": outputs, "complete": complete}
    write_json(kept, folder / PROVENANCE)


def _move_into(findings: Findings, staging: Path, out: Path, names: list[str], earlier: set[str]) -> None:
    """Replace the files one by one, with a provenance in place that owns them all should the move be broken off."""
    _write_provenance(findings, out, [*names, *sorted(earlier - set(names))], complete=False)
    for name in sorted(earlier - set(names)):
        (out / name).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: name == PROVENANCE):
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / name).replace(target)


def earlier_outputs(prefix: str, task: str, inputs: Set[str], out: Path) -> set[str]:
    """Names of the files of an earlier run of the same subject and task, its report included; none when there is none.

    Parameters
    ----------
    inputs
        SHA-256 of the images of this run. Images whose names tell no subject are all ``sub-01``: where none of these
        was an image of the earlier run, that was another scan.

    Raises
    ------
    BadInputError
        When ``out`` isn't a folder, or holds the results of another subject, task or scan.
    """
    if out.exists() and not out.is_dir():
        raise BadInputError(f"{out} is a file; give a folder for the results.")
    if not (out / PROVENANCE).exists():
        return set()
    found = _read_json(out / PROVENANCE, "the provenance of an earlier run")
    mine = (prefix, task)
    if not isinstance(found, dict) or (found.get("prefix"), found.get("task")) != mine:
        other = f"{found.get('prefix')}, task {found.get('task')}" if isinstance(found, dict) else "something else"
        raise BadInputError(
            f"{out} holds the results of {other}; these are of {mine[0]}, task {mine[1]}. Give another folder."
        )
    theirs = _digests(found)
    if inputs and theirs and not inputs & theirs:
        raise BadInputError(
            f"{out} holds the results of another scan of {prefix}, of which no image is among those given now. "
            "Give another folder, or move that one away."
        )
    described = f"{prefix}_desc-{task}_"
    return {REPORT} | {
        name for name in found.get("outputs", []) if isinstance(name, str) and _is_ours(name, prefix, described)
    }


def _digests(provenance: Mapping[str, Any]) -> set[str]:
    """SHA-256 of the images that a run read."""
    return {i["sha256"] for i in provenance.get("inputs", {}).values() if i.get("sha256")}


def _is_ours(name: str, prefix: str, described: str) -> bool:
    """Whether a name from a provenance file is one that a run writes, so that no other file is ever removed."""
    if name in (PROVENANCE, DESCRIPTION, FIGURES):
        return True
    if name.startswith("figures/"):
        return re.fullmatch(r"figures/[A-Za-z0-9_-]+\.png", name) is not None
    if name.startswith(f"{ATTACHMENTS}/"):
        return _ATTACHMENT_NAME.fullmatch(name.removeprefix(f"{ATTACHMENTS}/")) is not None
    image = name.replace(".json", ".nii.gz") if name.startswith(f"{prefix}_space-") else name
    return name.startswith(described) or (image.startswith(f"{prefix}_") and _IMAGE_NAME.search(image) is not None)


def _refuse_inputs(digests: Set[str], out: Path, names: Iterable[str]) -> None:
    for name in names:
        if (out / name).is_file() and sha256_of(out / name) in digests:
            raise BadInputError(f"{out / name} is an input and would be overwritten. Give another folder.")


def _refuse_unknown(findings: Findings, out: Path, names: Iterable[str], earlier: set[str]) -> None:
    for name in names:
        if name not in earlier and (out / name).exists():
            raise BadInputError(
                f"{out / name} exists and isn't known to be of an earlier run of {findings.prefix},"
                f" task {findings.task}. Move it away, or give another folder."
            )


def _sidecar(findings: Findings, mask: Mask, kind: str) -> dict[str, Any]:
    inputs = findings.provenance.get("inputs", {})
    sources = {role: i["file"] for role, i in inputs.items() if i.get("file")}
    shape = "Lesion" if mask.label in LESION_LABELS else "Brain" if mask.label == "brain" else "ROI"
    words = {"probseg": "Probability", "mask": "Mask", "map": "Map"}[kind]
    units = {"Units": mask.volume.unit} if kind == "map" else {}
    return {
        "Description": f"{words} of {mask.label} on the grid of the {mask.space} image, found by willis.",
        **units,
        "Type": shape,
        "Manual": False,
        "Sources": list(sources.values()),
        "SpatialReference": sources.get(mask.space, "orig"),
    }


def _description(findings: Findings) -> dict[str, Any]:
    return {
        "Name": f"willis {findings.task}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "willis", "Version": version("willis")}],
    }


def _figure_name(figure: Figure) -> str:
    if not _FIGURE_NAME.fullmatch(figure.name):
        raise BadInputError(f"the figure's name is {figure.name!r}; allowed are letters, digits, '-' and '_'.")
    return f"figures/{figure.name}.png"


def _attachment_name(attachment: Attachment) -> str:
    if not _ATTACHMENT_NAME.fullmatch(attachment.name):
        raise BadInputError(f"the attachment's name is {attachment.name!r}; allowed are letters, digits, '.-_'.")
    return f"{ATTACHMENTS}/{attachment.name}"


def _read_json(path: Path, wanted: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} can't be read, and {wanted} is needed: {error}.") from error
