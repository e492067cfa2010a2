"""What `brain` reads and gives."""

from willis.tasks.taskspec import Citation, LabelSpec, MeasurementSpec, RoleSpec, TaskSpec

PARTS = ("brain", "ventricles", "cortex", "cerebellum", "brainstem", "left")
"""Outputs of the brain network, in order; ``left`` is all of the brain on the patient's left."""

SPEC = TaskSpec(
    name="brain",
    title="Brain mask",
    description="The brain, ventricles, cerebellum and brainstem in a head scan of any contrast.",
    roles=(
        RoleSpec(
            "image",
            "Head scan",
            "T1, T2, FLAIR, DWI or other, whole head or extracted.",
            required=True,
            suffixes=("T1w", "T2w", "PDw", "FLAIR", "T2starw", "inplaneT1", "inplaneT2", "ncct", "NCCT", "ct", "CT"),
        ),
    ),
    labels=(
        LabelSpec("brain", "Brain", "Brain with its ventricles and sulci."),
        LabelSpec("ventricles", "Ventricles", "Lateral, third and fourth ventricle."),
        LabelSpec("cerebellum", "Cerebellum", "Both hemispheres and vermis."),
        LabelSpec("brainstem", "Brainstem", "Midbrain, pons and medulla."),
    ),
    measurements=(
        MeasurementSpec("brain_volume", "ml", "Volume of the brain mask, with the fluid in it: no measure of tissue."),
        MeasurementSpec("ventricles_volume", "ml", "Volume of the ventricles."),
        MeasurementSpec("cerebellum_volume", "ml", "Volume of the cerebellum."),
        MeasurementSpec("brainstem_volume", "ml", "Volume of the brainstem."),
    ),
    citations=(
        Citation(
            "Billot et al. 2023, SynthSeg: segmentation of brain MRI scans of any contrast and resolution without "
            "retraining (the idea of training on random contrasts).",
            "10.1016/j.media.2023.102789",
        ),
    ),
    intended_use="Research. Not a medical device; a person must look at the outline before it is relied on.",
    default_bundle="brain",
    each_image=True,
)
