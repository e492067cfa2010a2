"""Write measures.md beside this file: python docs/reference/make_measures.py."""

from pathlib import Path

from willis.measure.reference import reference_page

Path(__file__).with_name("measures.md").write_text(reference_page(), encoding="utf-8")
