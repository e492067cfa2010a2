"""What `lvo` reads, offers and gives."""

from willis.tasks.taskspec import Citation, LabelSpec, MeasurementSpec, OptionSpec, RoleSpec, TaskSpec

VESSELS = ("c7", "m1", "m2", "other")
"""Vessel labels, codes 1 to 4: ICA terminus, first and second segment of the middle cerebral artery, the others."""

SCAN_AXES = "LPS"
"""Orientation of DICOM's slices: a network that finds vessels sees a scan in it, unless its bundle says another."""

PUBLISHED_AXES = "LAS"
"""Orientation that dcm2niix gives to axial slices: taken for the published McResNet, whose authors name none."""

SEGMENTS = ("m1", "m2", "c7", "c7+m1", "m1+m2")
"""Answers of the third stage, in the published order."""

SHUT = ("c7", "m1", "m2")
"""Vessels of which an occlusion is told; a pair of neighbours makes an answer of its own."""

OUTPUTS = (*VESSELS, "clot", "ischaemia", "occluded", *(f"{name}-shut" for name in SHUT))
"""Of the vessel network, for one half of a head."""

SPEC = TaskSpec(
    name="lvo",
    title="Large vessel occlusion on non-contrast CT",
    description="Signs of an occluded ICA terminus, M1 or M2 on a non-contrast head CT, and early ischaemic change.",
    roles=(
        RoleSpec(
            "ncct",
            "Non-contrast CT",
            "Non-contrast head CT in HU: NIfTI, or the folder of one DICOM series.",
            required=True,
            suffixes=("ncct", "NCCT", "ct", "CT"),
        ),
        RoleSpec("brain", "Brain mask", "Your own brain mask, on the grid of the CT.", is_mask=True),
    ),
    labels=(
        LabelSpec("brain", "Brain", "Brain with its ventricles, sulci and basal cisterns."),
        LabelSpec("darker", "Darker than the other side", "Brain that is darker than its mirror image, by territory."),
        LabelSpec("c7", "ICA terminus", "Both sides."),
        LabelSpec("m1", "M1", "Both sides."),
        LabelSpec("m2", "M2", "Both sides."),
        LabelSpec("othervessels", "Other vessels", "Both sides."),
        LabelSpec("clot", "Suspected clot", "Where a clot is seen, or the suspected segment; only if suspected."),
    ),
    measurements=(
        MeasurementSpec("lvo_probability", "1", "Calibrated probability of an occlusion, with the range of all looks."),
        MeasurementSpec("lvo_<side>_probability", "1", "The same for one side, where the bundle tells sides apart."),
        MeasurementSpec("darker_<side>_volume", "ml", "Volume of brain that is darker than its mirror image."),
        MeasurementSpec("<territory>_<side>_difference", "HU", "Mean difference of a territory to its mirror image."),
        MeasurementSpec("brain_volume", "ml", "Volume of the brain mask, with the fluid in it: no measure of tissue."),
        MeasurementSpec("<vessel>_<side>_volume", "ml", "Volume of a vessel."),
        MeasurementSpec("<vessel>_<side>_length", "mm", "Length of a vessel."),
        MeasurementSpec("<vessel>_<side>_density", "HU", "Mean HU of a vessel."),
        MeasurementSpec("<vessel>_density_ratio", "1", "Mean HU of the denser side over that of the other."),
    ),
    citations=(
        Citation(
            "Vercauteren et al. 2009, Diffeomorphic demons: efficient non-parametric image registration.",
            "10.1016/j.neuroimage.2008.10.040",
        ),
        Citation(
            "Rorden et al. 2012, Age-specific CT and MRI templates for spatial normalization.",
            "10.1016/j.neuroimage.2012.03.020",
        ),
    ),
    intended_use=(
        "Research on acute stroke. Not a medical device: not for diagnosis, triage or treatment. That nothing is found "
        "doesn't mean that no vessel is occluded; a person must look at the scan and at the pictures."
    ),
    default_bundle="lvo",
    options=(
        OptionSpec(
            "vessels",
            "path",
            None,
            "Your own vessel labels on the grid of the CT, NIfTI: 1 C7, 2 M1, 3 M2, 4 other vessels.",
            one_patient=True,
        ),
        OptionSpec(
            "vessel_bundle",
            "text",
            None,
            "Name or folder of a model that finds the vessels, as willis models import nnunet makes one.",
        ),
        OptionSpec(
            "segment_bundle",
            "text",
            None,
            "Name or folder of a 2D model that names the occluded segment on the vessels' projection.",
        ),
        OptionSpec(
            "territories",
            "path",
            None,
            "Your own map of territories in MNI space, NIfTI: 1 ACA, 2 MCA, 3 PCA, 4 vertebrobasilar; + 10 on the "
            "right, or either side by its place.",
        ),
        OptionSpec(
            "prior",
            "path",
            None,
            "Your own probability of a territory (0 to 1) in MNI space, NIfTI, for a McResNet's channel of that name.",
        ),
        OptionSpec(
            "deformation",
            "choice",
            "demons",
            "What deforms the template onto the patient's brain: the built-in demons, greedy (pip install "
            "'willis[greedy]'), or SyN of ANTs (the program antsRegistration on the PATH).",
            choices=("demons", "greedy", "ants"),
        ),
        OptionSpec(
            "darker",
            "number",
            4.0,
            "HU that brain must be darker than its mirror image, after smoothing, to count.",
            least=1.0,
            most=30.0,
        ),
    ),
)
