"""What the stages share whose bundle keeps an nnU-Net plan: a training case in the plan's space, and the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.infer.nnunet_space import placed_image, placed_labels
from willis.learn.case import Case
from willis.models.nnunet_plan import NnunetPlan
from willis.tasks.lvo.spec import SPEC


def planned_case(
    image: npt.NDArray[np.floating],
    labels: npt.NDArray[np.integer],
    spacing_mm: Sequence[float],
    plan: NnunetPlan,
    names: Sequence[str],
    subject: str,
) -> Case:
    """An image (I, J, K) with labels 1 to ``len(names)``, in the axes, spacing and values of the plan."""
    placed = placed_image(image[None], spacing_mm, plan)
    target = placed_labels(labels, len(names), placed, plan)
    first, second, third = placed.spacing_mm
    everywhere = np.ones(target.shape[1:], dtype=bool)
    return Case(placed.data, target, everywhere, subject, (first, second, third))


def planned_fields(plan: NnunetPlan, *, name: str, title: str, channel: str, names: Sequence[str]) -> dict[str, Any]:
    """What a bundle run by a plan says of its input and output; the names are those of its labels."""
    return {
        "name": name,
        "title": title,
        "network": {"name": "plainunet", "config": {"plan": plan.model_dump(mode="json")}},
        "channels": (channel,),
        "outputs": ("background", *names),
        "spacing_mm": plan.spacing_mm,
        "window": {"mode": "sliding", "shape": plan.patch, "overlap": 0.5},
        "intensity": {"scheme": "none"},
        "threshold": {"value": 0.5, "origin": "the largest logit wins; no threshold is used"},
        "licence": "Apache-2.0",
        "intended_use": SPEC.intended_use,
        "peculiarities": ("Run as its plan says (network.config.plan); spacing and window here are of its own axes.",),
    }
