"""What `fvv` reads, offers and gives."""

from willis.tasks.taskspec import Citation, LabelSpec, MeasurementSpec, OptionSpec, RoleSpec, TaskSpec

MISMATCH_BELOW_ML = 0.5  # FVV; Benzakoun 2025, doi:10.1177/23969873251362712
B_RANGE = (800.0, 1200.0)  # s/mm² that count as "b1000"

SPEC = TaskSpec(
    name="fvv",
    title="FLAIR Visibility Volume",
    description="Acute infarct, the part of it that FLAIR would show, and the DWI-FLAIR mismatch, from DWI alone.",
    roles=(
        RoleSpec("b1000", "b1000", "Diffusion-weighted image (trace) with a b value of 800 to 1200 s/mm²."),
        RoleSpec("b0", "b0", "Image without diffusion weighting, on the grid of the b1000."),
        RoleSpec("adc", "ADC", "Apparent diffusion coefficient; stands in for a missing b0, and is measured."),
        RoleSpec("dwi", "4D DWI", "One 4D file with its .bval beside it, instead of b0 and b1000."),
        RoleSpec("flair", "FLAIR", "Only shown beside the result, never read by the network."),
        RoleSpec("brain", "Brain mask", "Your own brain mask, on the grid of the b1000.", is_mask=True),
        RoleSpec(
            "flairvisible",
            "Rater's FLAIR-visible mask",
            "A rater's mask of what FLAIR shows, on the grid of the b1000 or of the FLAIR given; it is scored against.",
            is_mask=True,
        ),
    ),
    labels=(
        LabelSpec("brain", "Brain", "Brain as the network sees it on DWI."),
        LabelSpec("lesion", "Acute infarct", "Acute infarct by at least half of the members."),
        LabelSpec("flairvisible", "FLAIR-visible part", "Part of the infarct that FLAIR would show, by half of them."),
    ),
    measurements=(
        MeasurementSpec("flair_visibility_volume", "ml", "Mean over members of the visible volume in the infarct."),
        MeasurementSpec("lesion_volume", "ml", "Volume of the acute infarct."),
        MeasurementSpec("lesion_count", "count", "Number of its parts (connected with 26 neighbours)."),
        MeasurementSpec("visible_share", "%", "FLAIR Visibility Volume over infarct volume."),
        MeasurementSpec("lesion_left_share", "%", "Share of the infarct left of the brain's middle."),
        MeasurementSpec("lesion_adc", "um2/ms", "Mean ADC in the infarct (10⁻³ mm²/s), of b0 and b1000 or as given."),
        MeasurementSpec("brain_volume", "ml", "Volume of the brain mask, with the fluid in it: no measure of tissue."),
        MeasurementSpec("rater_dice", "1", "Dice of the FLAIR-visible part with the rater's mask, when one is given."),
        MeasurementSpec("rater_volume", "ml", "Volume of the rater's whole mask, as given."),
        MeasurementSpec("rater_in_lesion_volume", "ml", "Volume of the rater's mask within the infarct found."),
    ),
    citations=(
        Citation(
            "Benzakoun et al. 2025, automated DWI-FLAIR mismatch assessment in stroke using DWI only, European Stroke "
            "Journal.",
            "10.1177/23969873251362712",
        ),
    ),
    intended_use=(
        "Research on stroke of unknown onset. Not a medical device: not for diagnosis or treatment, and never the "
        "ground on which thrombolysis is given or withheld; a person must look at the outlines."
    ),
    default_bundle="fvv",
    options=(
        OptionSpec(
            "b_value", "number", None, "b of the b1000 in s/mm²; default: as the .bval says, else 1000.",
            least=B_RANGE[0], most=B_RANGE[1],
        ),
        OptionSpec("register", "flag", False, "Lay b0 and ADC on the b1000 when they are on other grids."),
    ),
    one_of=(("b1000", "dwi"), ("b0", "adc", "dwi")),
)  # fmt: skip
