"""Write panoptica.json: what panoptica makes of small cases of overlapping boxes.

panoptica caps numpy and pandas, so it lives in an environment of its own:

    python -m venv judge && judge/bin/pip install panoptica==2.1.7 connected-components-3d==3.29.0
    judge/bin/python tests/golden/measure/make_panoptica.py

Components are those of cc3d (26 neighbours); instances match when their IoU is above 0.5 (strict, as in the definition
of panoptic quality; panoptica's own default also accepts 0.5 itself).
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from panoptica import ConnectedComponentsInstanceApproximator, InputType, NaiveThresholdMatching, Panoptica_Evaluator
from panoptica.metrics import Metric
from panoptica.utils.constants import CCABackend

SHAPE = (28, 26, 24)
CASES = 24
EXACTLY_HALF = {"reference": [[[2, 2, 2], [4, 4, 4]]], "prediction": [[[2, 2, 2], [4, 4, 3]]]}  # IoU 0.5: no match


def main() -> None:
    rng = np.random.default_rng(20)
    cases = [judged(case) for case in [EXACTLY_HALF, *(draw(rng) for _ in range(CASES))]]
    made_by = {name: version(name) for name in ("panoptica", "connected-components-3d", "numpy")}
    golden = {"made_by": made_by, "shape": SHAPE, "cases": cases}
    path = Path(__file__).with_name("panoptica.json")
    lines = [json.dumps({key: golden[key] for key in ("made_by", "shape")})[:-1] + ', "cases": [']
    lines.append(",\n".join(json.dumps(case) for case in cases) + "]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(rng: np.random.Generator) -> dict[str, list[list[list[int]]]]:
    """Boxes [[start], [stop]] of a reference, and a prediction of the same boxes moved, resized, lost or invented."""
    reference = [box(rng) for _ in range(rng.integers(1, 9))]
    kept = [b for b in reference if rng.random() < 0.8]
    moved = [(np.array(b) + rng.choice([-1, 0, 0, 0, 0, 0, 1], size=(2, 3))).tolist() for b in kept]
    prediction = [b for b in moved if all(stop > start for start, stop in zip(*b, strict=True))]
    return {"reference": reference, "prediction": prediction + [box(rng) for _ in range(rng.integers(0, 3))]}


def box(rng: np.random.Generator) -> list[list[int]]:
    start = rng.integers(0, np.array(SHAPE) - 8)
    return [start.tolist(), (start + rng.integers(1, 8, size=3)).tolist()]


def paint(boxes: list[list[list[int]]]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    for start, stop in boxes:
        mask[tuple(slice(max(a, 0), b) for a, b in zip(start, stop, strict=True))] = 1
    return mask


def judged(case: dict[str, list[list[list[int]]]]) -> dict[str, object]:
    evaluator = Panoptica_Evaluator(
        expected_input=InputType.SEMANTIC,
        instance_approximator=ConnectedComponentsInstanceApproximator(cca_backend=CCABackend.cc3d),
        instance_matcher=NaiveThresholdMatching(
            matching_metric=Metric.IOU, matching_threshold=0.5, strict_threshold=True
        ),
        instance_metrics=[Metric.IOU, Metric.DSC],
        global_metrics=[Metric.DSC, Metric.IOU],
    )
    result = evaluator.evaluate(paint(case["prediction"]), paint(case["reference"]), verbose=False)["ungrouped"]
    wanted = ("tp", "n_pred_instances", "n_ref_instances", "rq", "sq", "pq", "global_bin_dsc", "global_bin_iou")
    values = {name: float(getattr(result, name)) for name in wanted}
    return {**case, "panoptica": {name: None if np.isnan(value) else value for name, value in values.items()}}


if __name__ == "__main__":
    main()
