"""Numbers are rounded to what they are worth and names become words."""

import math

import pytest

from willis.findings import Measurement
from willis.report.words import doi_of, flat, interval, measured, number, place, quantity, title_of


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1234.56, "ml", "1235"), (12.345, "ml", "12.3"), (9.996, "ml", "10.00"), (0.5, "ml", "0.50"),
        (0.0123, "ml", "0.012"), (0.0, "ml", "0"), (3, "", "3"), (3.0, "count", "3"), (None, "ml", "–"),
        (math.nan, "ml", "–"), (-2.5, "ml", "\N{MINUS SIGN}2.50"), (True, "", "yes"),
        (0.000486, "1", "< 0.001"), (-0.0002, "HU", "> \N{MINUS SIGN}0.001"),
        (0.0006, "ml", "0.001"), (0.0014, "ml", "0.001"),
    ],
)  # fmt: skip
def test_number(value, unit, words):
    assert number(value, unit) == words


def test_quantity_carries_its_unit():
    assert quantity(Measurement("v", 12.4, "ml")) == "12.4 ml"
    assert quantity(Measurement("d", 1.2e-3, "mm2/s")) == "0.001 mm²/s"
    assert quantity(Measurement("r", 0.5, "1")) == "0.50"
    assert quantity(Measurement("r", None, "ml")) == "–"


def test_interval():
    assert interval(Measurement("v", 12.4, "ml", (10.9, 13.8))) == "10.9 to 13.8"
    assert interval(Measurement("v", 12.4, "ml")) == ""


def test_places_are_named_by_side():
    assert place((-12.3, 4.0, -30.6)) == "L 12, A 4, I 31"
    assert place((1.0, -1.0, 1.0)) == "R 1, P 1, S 1"
    assert place((math.nan, 0.0, 0.0)) == "–"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("left_volume_ml", "Left volume (ml)"),
        ("wmh_count", "WMH count"),
        ("ml", "Ml"),
        ("t1", "T1"),
        ("b1000", "b1000"),
        ("adc", "ADC"),
        ("ncct", "Non-contrast CT"),
        ("ctp", "CT perfusion"),
    ],
)
def test_title(name, words):
    assert title_of(name) == words


def test_flat_values():
    assert flat({"value": 0.45, "origin": "phantoms"}) == "value 0.45, origin phantoms"
    assert (flat([1, 2.5, None]), flat([]), flat(False), flat("")) == ("1, 2.5, not set", "none", "no", "not set")


def test_doi_is_taken_out_of_a_citation():
    assert doi_of("Doe 2024, A method. doi:10.1000/182") == ("Doe 2024, A method.", "10.1000/182")
    assert doi_of("Doe 2024 (DOI: 10.1161/STROKEAHA.111.618355).") == ("Doe 2024.", "10.1161/STROKEAHA.111.618355")
    assert doi_of("Doe 1999, doi:10.1016/S0140-6736(98)01020-0")[1] == "10.1016/S0140-6736(98)01020-0"
    assert doi_of("Doe 2024.") == ("Doe 2024.", "")


def test_a_measurement_is_never_rounded_onto_a_cutoff_or_across():
    found = Measurement("v", 69.97, "ml", (20.96, 70.04), bounds=(21.0, 70.0))
    assert quantity(found) == "69.97 ml" and interval(found) == "20.96 to 70.04"
    assert measured(Measurement("v", 0.4999999999999, "1", bounds=(0.5,))) == "0.4999999999999"
    assert measured(Measurement("v", None, "1", bounds=(0.5,))) == "–"
