"""Bars are as long as their values."""

import pytest

from willis.draw.charts import bar_chart, rounded
from willis.draw.palette import LEFT, RIGHT


def length_of(picture, colour: str) -> int:
    """Longest run of the colour along a row."""
    rows, columns = picture.where(colour, 12).T
    return max(
        columns[rows == row].max() - columns[rows == row].min() + 1 for row in set(rows) if (rows == row).sum() > 60
    )


def test_bar_lengths_are_in_the_ratio_of_the_values(drawn):
    picture = drawn(bar_chart({"deep": {"right": 4.0, "left": 1.0}}, unit="ml", title="Volume"))
    assert length_of(picture, RIGHT) / length_of(picture, LEFT) == pytest.approx(4, rel=0.02)


def test_each_group_adds_its_height(drawn):
    one = drawn(bar_chart({"a": {"right": 1.0, "left": 2.0}}))
    three = drawn(bar_chart({name: {"right": 1.0, "left": 2.0} for name in "abc"}))
    assert three.height == one.height + 2 * (2 * 22 + 18)


@pytest.mark.parametrize("groups", [{}, {"a": {}}, {"a": {"right": None}}, {"a": {"right": 0.0, "left": 0.0}}])
def test_nothing_to_show_still_gives_a_chart(drawn, groups):
    picture = drawn(bar_chart(groups, unit="ml"))
    assert (picture.pixels > 250).all(axis=2).mean() > 0.9
    assert not len(picture.where(LEFT, 12)) or groups.get("a")


def test_the_same_values_give_the_same_bytes():
    assert bar_chart({"a": {"right": 1.0}}) == bar_chart({"a": {"right": 1.0}})


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.002, "< 0.01"), (0.006, "0.01"), (3.0, "3"), (12.34, "12.3")]
)
def test_a_trace_is_not_shown_as_nothing(value, shown):
    assert rounded(value) == shown
