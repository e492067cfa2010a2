"""What is said of a head that faces backwards by its file's own axes."""

from __future__ import annotations

from willis.image.affine import AffineFit

BACKWARDS_NOTE = (
    "The head faces backwards by the file's own axes: its affine is not the scan's, and left and right can't be told "
    "apart. Sides are named, and pictures shown, as the file has them turned about the vertical; check them."
)


def facing_notes(fit: AffineFit | None) -> tuple[str, ...]:
    """The note on a head that its fit to the template shows to face backwards; nothing on others."""
    return (BACKWARDS_NOTE,) if fit is not None and fit.faces_backwards else ()
