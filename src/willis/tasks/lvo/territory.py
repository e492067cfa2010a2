"""The names under which parts of the task know the territories."""

from willis.tasks.ct_template import read_territories
from willis.tasks.territories import RIGHT

__all__ = ["RIGHT", "read_territories"]
