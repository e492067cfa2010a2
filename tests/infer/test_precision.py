from types import SimpleNamespace

import pytest

from willis.errors import BadInputError
from willis.infer.precision import choose_precision, cpu_flags, multiplies_natively

GENOA = frozenset({"avx512f", "avx512_bf16"})
SAPPHIRE = frozenset({"avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16"})
PROOF = SimpleNamespace(precision="float16", dice=0.9995)
COARSE_PROOF = SimpleNamespace(precision="bfloat16", dice=0.9991)


def test_flags_are_read_from_the_processor_s_description(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu AVX512F avx512_bf16\n\nprocessor\t: 1\nflags\t\t: other\n")
    assert cpu_flags(path) == {"fpu", "avx512f", "avx512_bf16"}
    path.write_text("processor\t: 0\nFeatures\t: fp asimd asimdhp\n")
    assert multiplies_natively("float16", cpu_flags(path))


def test_no_description_is_no_flags(tmp_path):
    assert cpu_flags(tmp_path / "absent") == frozenset()


@pytest.mark.parametrize(
    ("precision", "flags", "native"),
    [
        ("float32", frozenset(), True),
        ("float16", GENOA, False),
        ("float16", SAPPHIRE, True),
        ("float16", {"amx_fp16"}, True),
        ("bfloat16", GENOA, True),
        ("bfloat16", {"avx512f"}, False),
    ],
)
def test_what_the_processor_multiplies(precision, flags, native):
    assert multiplies_natively(precision, flags) is native


@pytest.mark.parametrize(
    ("flags", "measured", "chosen"),
    [
        (SAPPHIRE, [PROOF], "float16"),
        (SAPPHIRE, [], "float32"),
        (GENOA, [PROOF], "float32"),
        (SAPPHIRE, [SimpleNamespace(precision="float16", dice=0.998)], "float32"),
        (GENOA, [COARSE_PROOF], "bfloat16"),
        (GENOA, [COARSE_PROOF, PROOF], "bfloat16"),
        (SAPPHIRE, [COARSE_PROOF, PROOF], "float16"),
        (SAPPHIRE, [COARSE_PROOF], "bfloat16"),
        ({"avx512f"}, [COARSE_PROOF, PROOF], "float32"),
        (GENOA, [SimpleNamespace(precision="bfloat16", dice=0.9989)], "float32"),
    ],
)
def test_auto_takes_half_precision_only_native_and_proven_and_float16_first(flags, measured, chosen):
    assert choose_precision("auto", measured, flags) == chosen


def test_a_precision_by_name_needs_no_proof_but_a_processor():
    assert choose_precision("bfloat16", [], GENOA) == "bfloat16"
    with pytest.raises(BadInputError, match="float16"):
        choose_precision("float16", [PROOF], GENOA)


def test_an_unknown_precision_is_refused():
    with pytest.raises(BadInputError, match="int8"):
        choose_precision("int8")
