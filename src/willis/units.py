"""Units of the numbers that cross the house, spelt one way."""

from typing import Literal

Unit = Literal[
    "", "ml", "mm", "mm2", "mm3", "%", "1", "count", "s", "HU", "mm2/s", "um2/ms", "ml/100g/min", "ml/100g", "years"
]

MM3_PER_ML = 1000.0  # 1 ml = 1 cm³
MM_PER_M = 1000.0
MM_PER_UM = 0.001
