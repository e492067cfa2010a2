"""Bundles of single planes made into one bundle of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from willis.errors import BundleError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.publish import write_bundle
from willis.models.weights import holds_half
from willis.units import counted

OWN_FIELDS = ("name", "title", "version", "members", "files", "planes", "training", "measured", "precision", "source")


def join_planes(bundles: Sequence[Bundle], folder: Path, *, name: str, replace: bool = False) -> Bundle:
    """One bundle of the planes of several, which differ in nothing else.

    Parameters
    ----------
    bundles
        Each with one member and one plane.
    folder
        Of the new bundle.
    name
        Of the new bundle.
    replace
        Take the place of a bundle that stands there.

    Raises
    ------
    BundleError
        When a bundle has not one plane and one member, a plane comes twice, or the networks, intensities, thresholds
        or licences differ.
    """
    if len(bundles) < 2:
        raise BundleError(f"{counted(len(bundles), 'bundle')} named; at least two planes are joined.")
    first = bundles[0].manifest
    for bundle in bundles:
        manifest = bundle.manifest
        if len(manifest.planes) != 1 or len(manifest.members) != 1:
            raise BundleError(
                f"{bundle.name} has {counted(len(manifest.planes), 'plane')} and "
                f"{counted(len(manifest.members), 'member')}; "
                "bundles with one of each are joined."
            )
        differing = [
            field
            for field in type(manifest).model_fields
            if field not in OWN_FIELDS and getattr(manifest, field) != getattr(first, field)
        ]
        if differing:
            raise BundleError(f"{bundle.name} differs from {bundles[0].name} in {', '.join(differing)}.")
    views = [bundle.manifest.planes[0] for bundle in bundles]
    manifest = first.changed(
        name=name,
        title=f"{first.title}: {', '.join(view.plane for view in views)}",
        members=(),
        files={},
        planes=[view.model_dump() for view in views],
        measured=(),
        precision=(),
        source=f"joined from {', '.join(f'{b.name} ({b.digest[:12]})' for b in bundles)}",
    )
    weights = (bundle.member_weights(0) for bundle in bundles)
    half = all(holds_half(bundle.member_bytes(0)) for bundle in bundles)  # packed so again, they lose nothing
    return write_bundle(folder, manifest, weights, half=half, card=render_card(manifest), replace=replace)
