"""willis: measured findings from stroke and small-vessel brain scans."""

from importlib.metadata import version

__version__ = version("willis")
