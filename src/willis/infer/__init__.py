"""Prediction within a stated memory, by engines behind one protocol."""

import sys

# OpenVINO reports each of its imports to its maker unless this package can't be imported; willis reports nothing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
