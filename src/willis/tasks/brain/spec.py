"""What the task ``brain`` reads, offers and gives."""

from willis.tasks.taskspec import Citation, LabelSpec, MeasurementSpec, OptionSpec, RoleSpec, TaskSpec

SPEC = TaskSpec(
    name="brain",
    title="Brain mask",
    description="The brain in a head scan of any contrast.",
    roles=(RoleSpec("image", "Image", "a head scan: T1, T2, FLAIR, diffusion.", required=True),),
    labels=(LabelSpec("brain", "Brain", "1 in the brain, cerebellum and brain stem with the fluid between them."),),
    measurements=(MeasurementSpec("brain_volume", "ml", "Volume inside the brain mask."),),
    citations=(
        Citation(
            "Hoopes A, et al. 2022, SynthStrip: skull-stripping for any brain image, NeuroImage 260 "
            "(training on images of random contrast)",
            "10.1016/j.neuroimage.2022.119474",
        ),
    ),
    intended_use="Research on groups and method development; not for diagnosis or treatment of a person.",
    default_bundle="brain",
    options=(
        OptionSpec(
            "threshold", "number", None, "Probability from which a voxel counts; else the model's own.", least=0, most=1
        ),
    ),
)
