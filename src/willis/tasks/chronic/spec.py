"""What `chronic` reads, offers and gives."""

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

REGIONS = ("cortical", "subcortical", "cerebellar", "brainstem")

SPEC = TaskSpec(
    name="chronic",
    title="Chronic stroke lesion",
    description="The cavity and scar that an old stroke has left, on a T1, by networks over three planes.",
    roles=(
        RoleSpec(
            "t1", "T1", "T1-weighted image, whole head or extracted, on any grid.", required=True, suffixes=("T1w",)
        ),
        RoleSpec("brain", "Brain mask", "Your own brain mask, on the grid of the T1.", is_mask=True),
    ),
    labels=(
        LabelSpec("lesion", "Lesion", "Voxels whose mean probability over the planes reaches the threshold."),
        LabelSpec("lesionaxial", "Lesion, axial", "What the network over axial slices alone would say."),
        LabelSpec("lesionsagittal", "Lesion, sagittal", "What the network over sagittal slices alone would say."),
        LabelSpec("lesioncoronal", "Lesion, coronal", "What the network over coronal slices alone would say."),
        LabelSpec("brain", "Brain", "Brain with its ventricles and sulci."),
    ),
    measurements=(
        MeasurementSpec("lesion_volume", "ml", "Volume of the fused mask on the T1's own grid."),
        MeasurementSpec("lesion_count", "count", "Number of lesions (connected with 26 neighbours)."),
        MeasurementSpec("lesion_left_volume", "ml", "Volume on the patient's left."),
        MeasurementSpec("lesion_right_volume", "ml", "Volume on the patient's right."),
        MeasurementSpec("lesion_brain_share", "%", "Lesion volume over that of the brain mask."),
        MeasurementSpec("plane_agreement", "1", "Voxels that all planes call lesion over those that any does."),
        MeasurementSpec("brain_volume", "ml", "Volume of the brain mask, with the fluid in it: no measure of tissue."),
    ),
    citations=(
        Citation(
            "Mousavi 2025, RAX-NET: residual attention Xception network for chronic stroke lesions on T1 (preprint).",
            "10.1101/2025.09.26.25336733",
        ),
    ),
    intended_use=(
        "Research on chronic stroke. Not a medical device: not for diagnosis or treatment; a person must look at the "
        "outlines before the numbers are relied on."
    ),
    default_bundle="chronic",
    options=(
        OptionSpec("bias_field", "flag", True, "Correct the bias field (N4) before scaling intensities."),
        OptionSpec(
            "fusion",
            "choice",
            "mean",
            "How the planes are joined: the mean of their probabilities, or the vote of more than half of them.",
            choices=("mean", "majority"),
        ),
        OptionSpec(
            "register",
            "choice",
            "auto",
            "Lay the T1 on the template: auto keeps one that is on the template's grid already.",
            choices=("auto", "always"),
        ),
        THRESHOLD,
        MIN_SIZE,
        OptionSpec(
            "reference",
            "path",
            None,
            "A rater's lesion mask on the T1's grid: tables compare each plane before and after fusion with it.",
            one_patient=True,
        ),
    ),
)
