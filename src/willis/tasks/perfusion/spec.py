"""What `perfusion` reads, offers and gives."""

from willis.tasks.taskspec import Citation, LabelSpec, MeasurementSpec, OptionSpec, RoleSpec, TaskSpec

MAPS = ("cbf", "cbv", "mtt", "ttp", "tmax")
CORE_RELATIVE_CBF = 0.30  # of the other side's; DEFUSE 3, doi:10.1056/NEJMoa1713973
HYPOPERFUSED_TMAX_S = 6.0  # DEFUSE 3, doi:10.1056/NEJMoa1713973
SEVERE_TMAX_S = 10.0  # hypoperfusion intensity ratio; Olivot 2014, doi:10.1161/STROKEAHA.113.003857
LEAST_CLUSTER_ML = 1.0  # assumed: smaller parts are noise more often than tissue


def shown_name(map_name: str) -> str:
    """What a map is called in sentences.

    >>> shown_name("tmax"), shown_name("cbf")
    ('Tmax', 'CBF')
    """
    return "Tmax" if map_name == "tmax" else map_name.upper()


SPEC = TaskSpec(
    name="perfusion",
    title="CT perfusion",
    description="Ischaemic core and penumbra from the 4D CT perfusion series, or from its scalar or colour maps.",
    roles=(
        RoleSpec(
            "ctp", "CTP series", "4D CT perfusion series in HU, with its times beside it or by --times.",
            suffixes=("ctp",),
        ),
        RoleSpec("cbf", "CBF", "Cerebral blood flow, ml/100 g/min, or as a colour map.", suffixes=("cbf",)),
        RoleSpec("cbv", "CBV", "Cerebral blood volume, ml/100 g, or as a colour map.", suffixes=("cbv",)),
        RoleSpec("mtt", "MTT", "Mean transit time, s, or as a colour map.", suffixes=("mtt",)),
        RoleSpec("ttp", "TTP", "Time to peak, s, or as a colour map.", suffixes=("ttp",)),
        RoleSpec("tmax", "Tmax", "Time to the residue function's maximum, s, or as a colour map.", suffixes=("tmax",)),
        RoleSpec(
            "mip", "MIP", "Maximum intensity projection over time, or as a grey picture; shown only.",
            suffixes=("mip",),
        ),
        RoleSpec("brain", "Brain mask", "Your own brain mask, on the grid of the series or maps.", is_mask=True),
    ),
    labels=(
        LabelSpec("brain", "Brain", "Brain with its fluid."),
        LabelSpec("core", "Ischaemic core", "Hypoperfused tissue whose CBF is below 30 % of the other side's."),
        LabelSpec("penumbra", "Penumbra", "Tissue with Tmax above 6 s that isn't core."),
        LabelSpec("networkcore", "Core by the network", "Tissue that the network calls core."),
        LabelSpec("networkpenumbra", "Penumbra by the network", "Tissue that the network calls penumbra."),
    ),
    measurements=(
        MeasurementSpec("core_volume", "ml", "Volume of the core by thresholds."),
        MeasurementSpec("penumbra_volume", "ml", "Mismatch volume: hypoperfused tissue that isn't core."),
        MeasurementSpec("hypoperfused_volume", "ml", "Tissue with Tmax above 6 s."),
        MeasurementSpec("mismatch_ratio", "1", "Hypoperfused volume over core volume; not defined without core."),
        MeasurementSpec("severe_volume", "ml", "Tissue with Tmax above 10 s."),
        MeasurementSpec("hypoperfusion_intensity_ratio", "1", "Tmax above 10 s over Tmax above 6 s, by volume."),
        MeasurementSpec("left_share", "%", "Share of the hypoperfused tissue on the patient's left."),
        MeasurementSpec("<territory>_<side>_hypoperfused_volume", "ml", "Hypoperfused tissue of a territory."),
        MeasurementSpec("<territory>_<side>_core_volume", "ml", "Core in a territory."),
        MeasurementSpec("reference_cbf", "ml/100g/min", "Mean CBF of normally supplied tissue of the other side."),
        MeasurementSpec("low_flow_elsewhere_volume", "ml", "CBF below 30 % without delay: old infarct, for one."),
        MeasurementSpec("long_transit_volume", "ml", "MTT above 145 % of the other side's, where Tmax is missing."),
        MeasurementSpec("low_volume_volume", "ml", "CBV below 2 ml/100 g in that tissue, where CBF is missing."),
        MeasurementSpec("network_core_volume", "ml", "Volume of the core by the network."),
        MeasurementSpec("network_penumbra_volume", "ml", "Volume of the penumbra by the network."),
        MeasurementSpec("network_mismatch_ratio", "1", "Core and penumbra over core, by the network."),
        MeasurementSpec("brain_volume", "ml", "Volume of the brain mask that was read."),
    ),
    citations=(
        Citation(
            "Tomasetti et al. 2022, multi-input segmentation of damaged brain in acute ischemic stroke patients using "
            "slow fusion with skip connection, NLDL.",
            "10.7557/18.6223",
        ),
        Citation(
            "Wu et al. 2003, tracer arrival timing-insensitive technique for estimating flow in MR perfusion-weighted "
            "imaging using singular value decomposition with a block-circulant deconvolution matrix.",
            "10.1002/mrm.10522",
        ),
        Citation(
            "Albers et al. 2018, thrombectomy for stroke at 6 to 16 hours with selection by perfusion imaging "
            "(DEFUSE 3).",
            "10.1056/NEJMoa1713973",
        ),
        Citation(
            "Nogueira et al. 2018, thrombectomy 6 to 24 hours after stroke with a mismatch between deficit and infarct "
            "(DAWN).",
            "10.1056/NEJMoa1706442",
        ),
        Citation(
            "Wintermark et al. 2006, perfusion-CT assessment of infarct core and penumbra.",
            "10.1161/01.STR.0000209238.61459.39",
        ),
    ),
    intended_use=(
        "Research on acute stroke. Not a medical device: not for diagnosis or treatment, and never the ground on which "
        "a treatment is given or withheld; a person must look at the maps, the curves and the outlines."
    ),
    default_bundle="perfusion",
    options=(
        OptionSpec(
            "method", "choice", "both",
            "both: the network beside the thresholds where its maps are there; network: refused where they aren't; "
            "thresholds: no network.",
            choices=("both", "network", "thresholds"),
        ),
        OptionSpec("times", "path", None, "Text file with the time of each frame in s, where the series lacks them."),
        OptionSpec(
            "range", "text", None,
            "Values at the low and high ends of colour bars: tmax=0:12,cbf=0:60; cbf=0:60:below (above, left, right) "
            "says where the high one stands, and is needed where the colours don't tell.",
        ),
        OptionSpec("spacing", "text", None, "Pixel width, height and slice distance of pictures, mm: 0.45,0.45,5."),
        OptionSpec("nihss", "text", None, "NIHSS, 0 to 42; a dash where it is unknown.", one_patient=True),
        OptionSpec("age", "number", None, "Age in years.", least=0.0, most=120.0, one_patient=True),
        OptionSpec(
            "sex", "text", None, "Sex: m or f; a dash where it is unknown. Only some networks use it.",
            one_patient=True,
        ),
        OptionSpec("clinical", "path", None, "Table with participant_id, nihss, age, sex (tab, comma or semicolon)."),
        OptionSpec("motion", "flag", True, "Bring frames back that moved (shifts, found on bone)."),
        OptionSpec("gamma_variate", "flag", False, "Fit artery and vein by gamma variates, without recirculation."),
        OptionSpec(
            "smoothing", "number", None, "Width of the smoothing in mm (standard deviation); default: by the noise.",
            least=0.0, most=10.0,
        ),
        OptionSpec(
            "oscillation", "number", 0.035, "Largest oscillation index of the residue function.", least=0.005, most=1.0
        ),
        OptionSpec(
            "relative_cbf", "number", CORE_RELATIVE_CBF, "Core: CBF below this part of the other side's.",
            least=0.05, most=0.9,
        ),
        OptionSpec("tmax_above", "number", HYPOPERFUSED_TMAX_S, "Hypoperfused: Tmax above, s.", least=1.0, most=20.0),
        OptionSpec("min_size", "number", LEAST_CLUSTER_ML, "Least volume of a part, ml.", least=0.0, most=50.0),
    ),
    one_of=(("ctp", *MAPS),),
)  # fmt: skip
