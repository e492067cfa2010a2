"""What `wmh` reads, offers and gives."""

from willis.tasks.taskspec import (
    MIN_SIZE,
    THRESHOLD,
    Citation,
    LabelSpec,
    MeasurementSpec,
    OptionSpec,
    RoleSpec,
    TaskSpec,
)

REGIONS = (
    "periventricular left",
    "periventricular right",
    "deep left",
    "deep right",
    "juxtacortical left",
    "juxtacortical right",
    "cerebellar left",
    "cerebellar right",
    "brainstem",
)

SPEC = TaskSpec(
    name="wmh",
    title="White matter hyperintensities",
    description="White matter hyperintensities of presumed vascular origin by region, on T1 + FLAIR or FLAIR alone.",
    roles=(
        RoleSpec(
            "t1",
            "T1",
            "T1-weighted image; makes the result more specific and sets the space when given.",
            suffixes=("T1w",),
        ),
        RoleSpec("flair", "FLAIR", "FLAIR image, on its own grid.", required=True, suffixes=("FLAIR",)),
        RoleSpec("brain", "Brain mask", "Your own brain mask, on the grid of the T1 (FLAIR when no T1).", is_mask=True),
    ),
    labels=(
        LabelSpec("brain", "Brain", "Brain with its ventricles and sulci."),
        LabelSpec("wmh", "White matter hyperintensities", "Lesions kept after thresholding and cluster rules."),
    ),
    measurements=(
        MeasurementSpec("wmh_volume", "ml", "Volume of the WMH mask on the FLAIR's own grid."),
        MeasurementSpec("wmh_count", "count", "Number of lesions (connected with 26 neighbours)."),
        MeasurementSpec("wmh_brain_share", "%", "WMH volume over that of the brain mask."),
        MeasurementSpec("brain_volume", "ml", "Volume of the brain mask, with the fluid in it: no measure of tissue."),
        MeasurementSpec("wmh_<region>_volume", "ml", "Volume of lesions, voxel by voxel, in one region and side."),
        MeasurementSpec("wmh_<region>_count", "count", "Number of lesions that lie mostly in one region and side."),
    ),
    citations=(
        Citation(
            "Tsuchida et al. 2024, segmentation of white matter hyperintensities by a U-Net trained on several cohorts "
            "(SHIVA-WMH), Human Brain Mapping.",
            "10.1002/hbm.26548",
        ),
        Citation(
            "Boutinaud et al. 2021, 3D segmentation of perivascular spaces on T1-weighted 3 Tesla MR images with "
            "a convolutional autoencoder and a U-shaped neural network.",
            "10.3389/fninf.2021.641600",
        ),
    ),
    intended_use=(
        "Research on small vessel disease. Not a medical device: not for diagnosis or treatment; a person must look at "
        "the outlines before the numbers are relied on."
    ),
    default_bundle="wmh",
    options=(
        OptionSpec("bias_field", "flag", False, "Correct the bias field (N4) before scaling intensities."),
        OptionSpec(
            "register",
            "choice",
            "auto",
            "Lay the FLAIR on the T1: auto keeps a pair that already fits, always registers, never trusts the files.",
            choices=("auto", "always", "never"),
        ),
        OptionSpec(
            "intensity",
            "choice",
            None,
            "Scaling by the 99th percentile in the brain, without or with SHiVAi's cap at 1.3; default: the bundle's.",
            choices=("p99", "p99-capped"),
        ),
        THRESHOLD,
        MIN_SIZE,
    ),
)
