"""The page of the measures is the one that the metrics make."""

from pathlib import Path

from willis.measure.case import METRICS
from willis.measure.reference import GROUPS, reference_page

PAGE = Path(__file__).parents[2] / "docs/reference/measures.md"


def test_the_page_in_the_docs_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run: python docs/reference/make_measures.py"


def test_the_page_holds_every_metric_with_its_source() -> None:
    assert tuple(metric for _, _, group in GROUPS for metric in group) == METRICS
    for metric in METRICS:
        section = reference_page().split(f"### `{metric.name}`: ")[1].split("###")[0]
        assert metric.formula in section
        assert "https://doi.org/10." in section


def test_the_table_says_what_empty_masks_give() -> None:
    page = reference_page()
    assert "| `precision` | 0 | 0 | 1 |" in page
    assert "| `sensitivity` | 0 | n/a | n/a |" in page
    assert "| `hd95_mm` | diagonal | diagonal | 0 |" in page
    assert "| `volume_difference_ml` | by the formula | by the formula | 0 |" in page
