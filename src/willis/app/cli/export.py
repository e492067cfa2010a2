"""``willis export``: labelled patients in the layouts that others train from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from willis.units import counted

app = App(name="export", help="Write labelled patients in the layouts that others train from.")


@app.command(name="nnunet-dataset")
def nnunet_dataset(
    folder: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    image: str = "ncct",
    label: str = "vessels",
    names: str = "c7,m1,m2,other",
    channel: str | None = None,
    axes: str | None = None,
    folds: int = 5,
    seed: int = 0,
) -> None:
    """Write a training set of nnU-Net v2, with a file of splits by patient.

    Parameters
    ----------
    folder
        BIDS folder: images in sub-*/anat, labels in derivatives, as willis phantom makes it.
    output
        Folder to make; nnU-Net finds it as DatasetNNN_Name.
    image, label
        Ends of the files' names: sub-*_ncct.nii.gz, *_label-vessels_dseg.nii.gz or *_label-vessels_mask.nii.gz.
        Of several files of a label that on the image's grid is taken: --image FLAIR --label wmh --names wmh for
        phantoms of wmh.
    names
        Of labels 1, 2, 3…
    channel
        Name of the image in dataset.json, by which nnU-Net scales values: CT by those of all labelled voxels, any other
        each image by itself. CT for an image ncct where left out, else the image's own end.
    axes
        Orientation in which to write all, such as LPS; their own where left out, which must then be one. dataset.json
        keeps it for the import of the trained model.
    folds, seed
        Of the splits.
    """
    from willis.io.bids import find_labels
    from willis.learn.nnunet_dataset import SPLITS, LabelledImage, channel_of, write_nnunet_dataset

    patients = [LabelledImage(*files) for files in find_labels(folder, image, label)]
    called = [name.strip() for name in names.split(",")]
    write_nnunet_dataset(
        patients, called, output, channel=channel or channel_of(image), axes=axes, folds=folds, seed=seed
    )
    print(
        f"{counted(len(patients), 'patient')}: {output}\nSplits, for the folder of preprocessed data: {output / SPLITS}"
    )


@app.command(name="lvo-projections")
def lvo_projections(
    folder: Path, *, output: Annotated[Path, Parameter(name=("--output", "-o"))], folds: int = 5, seed: int = 0
) -> None:
    """Write vessels seen from above, as the third stage of lvo reads them, as a 2D training set of nnU-Net v2.

    Parameters
    ----------
    folder
        BIDS folder with CTs, vessel labels and truth.tsv (participant_id, segment, side), as willis phantom lvo makes
        it; patients with an occlusion alone are written.
    output
        Folder to make; nnU-Net finds it as DatasetNNN_Name.
    folds, seed
        Of the splits.
    """
    from willis.learn.nnunet_dataset import SPLITS
    from willis.tasks.lvo.segment_cases import write_projections

    count = write_projections(folder, output, folds=folds, seed=seed)
    print(f"{counted(count, 'patient')}: {output}\nSplits, for the folder of preprocessed data: {output / SPLITS}")


@app.command(name="lvo-scans")
def lvo_scans(
    folder: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    validation_share: float = 0.2,
    test_share: float = 0.2,
    seed: int = 0,
    deformation: Literal["demons", "greedy", "ants"] = "demons",
) -> None:
    """Write labelled CTs in the layout that the published occlusion network is trained on.

    Parameters
    ----------
    folder
        BIDS folder with CTs, vessel labels and truth.tsv (participant_id, segment, side), as willis phantom lvo makes
        it.
    output
        Folder to make: train_nii_close, train_nii_nc, and tables of labels.
    validation_share, test_share
        Of the patients with an occlusion, and of those without.
    seed
        Of the shares.
    deformation
        What deforms the template onto each brain.
    """
    from willis.app.cli.progress import ProgressReport
    from willis.tasks.lvo.write_scans import write_scans

    with ProgressReport() as progress:
        parts, left_out = write_scans(
            folder, output, validation_share=validation_share, test_share=test_share, seed=seed,
            deformation=deformation, progress=progress,
        )  # fmt: skip
    counts = ", ".join(f"{len(names)} for {part}" for part, names in parts.items())
    if left_out:
        print(f"Left out, larger than the published input of 512 × 512 × 200 voxels: {', '.join(left_out)}")
    print(f"{counted(sum(map(len, parts.values())), 'patient')} ({counts}): {output}")
