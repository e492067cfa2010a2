"""What the task ``wmh`` reads, offers and gives."""

from willis.tasks.taskspec import Citation, LabelSpec, MeasurementSpec, OptionSpec, RoleSpec, TaskSpec

SPEC = TaskSpec(
    name="wmh",
    title="White matter hyperintensities",
    description="White matter hyperintensities by region, in FLAIR, or T1 and FLAIR.",
    roles=(
        RoleSpec("t1", "T1", "whole head or brain-extracted, on a grid of its own; sharpens the boundaries."),
        RoleSpec("flair", "FLAIR", "whole head or brain-extracted; shows the hyperintensities.", required=True),
        RoleSpec("brain", "Brain mask", "your own brain mask, instead of the one that is found.", is_mask=True),
    ),
    labels=(
        LabelSpec("wmh", "Hyperintensities", "1 in a hyperintensity, on the FLAIR's and on the T1's grid."),
        LabelSpec("brain", "Brain", "1 in the brain, on the FLAIR's and on the T1's grid."),
    ),
    measurements=(
        MeasurementSpec("wmh_volume", "ml", "Volume of all hyperintensities."),
        MeasurementSpec("wmh_count", "count", "Number of separate hyperintensities."),
        MeasurementSpec("brain_volume", "ml", "Volume inside the brain mask."),
        MeasurementSpec("wmh_percent_of_brain", "%", "Volume of hyperintensities over volume of the brain."),
        MeasurementSpec("wmh_<region>_<side>_volume", "ml", "Volume in one region."),
        MeasurementSpec("wmh_<region>_<side>_count", "count", "Number of hyperintensities in one region."),
    ),
    citations=(
        Citation(
            "Tsuchida A, Boutinaud P, et al. 2024, Early detection of white matter hyperintensities using SHIVA-WMH "
            "detector, Human Brain Mapping 45",
            "10.1002/hbm.26548",
        ),
    ),
    intended_use="Research on groups and method development; not for diagnosis or treatment of a person.",
    default_bundle="wmh",
    options=(
        OptionSpec("bias_field", "flag", False, "Correct the bias field (N4) before the network sees the images."),
        OptionSpec(
            "intensity",
            "choice",
            None,
            "Scaling of intensities: by the 99th percentile in the brain, or capped at 1.3 of it; "
            "else as the model was trained.",
            choices=("p99", "p99-capped"),
        ),
        OptionSpec(
            "threshold", "number", None, "Probability from which a voxel counts; else the model's own.", least=0, most=1
        ),
    ),
)
