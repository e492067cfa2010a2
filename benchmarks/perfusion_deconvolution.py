"""Deconvolution: recovery of noiseless and noisy curves, and CPU time against a plain per-voxel SVD in numpy.

    .venv/bin/python benchmarks/perfusion_deconvolution.py --plot deconvolution.png

Prints the error of CBF, CBV, MTT and Tmax over transit times of 3 to 20 s and delays of 0 to 8 s for three kinds of
residue functions, bias and spread under noise, and the ratio of CPU times. The peer is block-circulant SVD with the
same limit of oscillation, written as one reads it: for each voxel, for each cut, one pseudo-inverse from the SVD.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from willis.image.deconvolution import CUTS, OSCILLATION_LIMIT, PerfusionValues, deconvolve
from willis.phantom.perfusion_curves import Input, ResidueKind, arterial_curve, draw_input, tissue_curves

MTT_S, DELAY_S = (3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0), (0.0, 0.5, 1.0, 2.3, 4.0, 6.0, 8.0)
NOISE_HU = (0.3, 0.6, 1.0)


def made(step_s: float, frames: int, kind: ResidueKind, source: Input | None = None) -> tuple[Any, ...]:
    source = source or Input()
    times = np.arange(frames) * step_s
    fine = np.arange(0, times[-1] + 0.1, 0.1)
    aif = np.interp(times, fine, arterial_curve(fine, source))
    mtt, delay = (g.ravel() for g in np.meshgrid(MTT_S, DELAY_S, indexing="ij"))
    cbf = 200.0 / mtt
    return times, aif, tissue_curves(times, source, cbf, mtt, delay, kind), cbf, mtt, delay


def errors(found: PerfusionValues, cbf: Any, mtt: Any, delay: Any) -> dict[str, npt.NDArray[Any]]:
    return {
        "CBF %": 100 * (found.cbf / cbf - 1),
        "CBV %": 100 * (found.cbv / (cbf * mtt / 60) - 1),
        "MTT %": 100 * (found.mtt / mtt - 1),
        "Tmax s": found.tmax - delay,
    }


def noiseless() -> dict[tuple[str, float], dict[str, npt.NDArray[Any]]]:
    print("residue      step   smallest and largest error")
    kept = {}
    for kind in ("exponential", "gamma", "box"):
        for step_s, frames in ((1.0, 60), (1.5, 45), (2.0, 45), (3.0, 30)):
            times, aif, curves, cbf, mtt, delay = made(step_s, frames, kind)  # type: ignore[arg-type]
            found = errors(deconvolve(curves, aif, times), cbf, mtt, delay)
            kept[kind, step_s] = found
            words = "  ".join(f"{name} {e.min():+.1f} to {e.max():+.1f}" for name, e in found.items())
            print(f"{kind:11}  {step_s:3} s  {words}")
    return kept


def drawn() -> None:
    print("12 drawn input functions, exponential residue functions: root mean square and largest error")
    rng = np.random.default_rng(0)
    sources = [draw_input(rng) for _ in range(12)]
    for step_s, frames in ((1.0, 60), (1.5, 45), (2.0, 45), (3.0, 30)):
        every: dict[str, list[npt.NDArray[Any]]] = {}
        for source in sources:
            times, aif, curves, cbf, mtt, delay = made(step_s, frames, "exponential", source)
            for name, error in errors(deconvolve(curves, aif, times), cbf, mtt, delay).items():
                every.setdefault(name, []).append(error)
        words = "  ".join(f"{n} {np.sqrt(np.mean(np.square(e))):.1f}, {np.abs(e).max():.1f}" for n, e in every.items())
        print(f"  {step_s:3} s  {words}")


def noisy() -> None:
    print("noise of one frame; bias ± spread of CBF and of Tmax, CBF 33 ml/100 g/min, MTT 6 s, delay 4 s, step 1.5 s")
    times, aif, curves, cbf, mtt, delay = made(1.5, 45, "exponential")
    one = np.flatnonzero((mtt == 6) & (delay == 4))
    for noise in NOISE_HU:
        many = np.repeat(curves[one], 4000, axis=0)
        many = many + noise * np.random.default_rng(0).standard_normal(many.shape)
        found = errors(deconvolve(many, aif, times), cbf[one], mtt[one], delay[one])
        words = "  ".join(f"{n} {found[n].mean():+.1f} ± {found[n].std():.1f}" for n in ("CBF %", "CBV %", "Tmax s"))
        print(f"  {noise:.1f} HU  {words}")


def plain(curves: npt.NDArray[Any], aif: npt.NDArray[Any], step_s: float, *, once: bool) -> npt.NDArray[np.float64]:
    """(n,) largest value of each residue function by an SVD for each voxel, or ``once`` for all, in a loop."""
    n = 2 * len(aif)
    padded = np.concatenate([aif, np.zeros(n - len(aif))])
    matrix = step_s * padded[(np.arange(n)[:, None] - np.arange(n)[None]) % n]
    top = np.zeros(len(curves))
    left, values, right = np.linalg.svd(matrix)
    for voxel, curve in enumerate(curves):
        if not once:
            left, values, right = np.linalg.svd(matrix)
        wanted = np.concatenate([curve, np.zeros(n - len(curve))])
        for cut in CUTS:
            inverse = np.where(values >= cut * values[0], 1 / values, 0)
            residue = right.T @ (inverse * (left.T @ wanted))
            bend = np.abs(residue[2:] - 2 * residue[1:-1] + residue[:-2]).sum() / (n * residue.max())
            if bend <= OSCILLATION_LIMIT:
                break
        top[voxel] = residue.max()
    return top


def ratio() -> None:
    times, aif, curves, *_ = made(1.5, 45, "exponential")
    many = np.tile(curves, (2000, 1)).astype(np.float32)
    many += 0.5 * np.random.default_rng(0).standard_normal(many.shape, dtype=np.float32)
    start = time.process_time()
    deconvolve(many, aif, times)
    ours = (time.process_time() - start) / len(many)
    for once, count in ((False, 100), (True, 1000)):
        start = time.process_time()
        plain(many[:count], aif, 1.5, once=once)
        theirs = (time.process_time() - start) / count
        words = "one SVD, a loop over voxels" if once else "an SVD for each voxel"
        print(
            f"CPU time a voxel, 45 frames: {1e6 * ours:.2f} µs; {words}: {1e6 * theirs:.0f} µs, {theirs / ours:.0f} ×"
        )


def plotted(kept: dict[tuple[str, float], dict[str, npt.NDArray[Any]]], path: Path) -> None:
    figure = Figure(figsize=(11, 7))
    for place, name in enumerate(("CBF %", "CBV %", "MTT %", "Tmax s"), start=1):
        axes = figure.add_subplot(2, 2, place)
        for (kind, step_s), found in kept.items():
            if kind != "exponential":
                continue
            by_mtt = found[name].reshape(len(MTT_S), len(DELAY_S))
            line = axes.plot(MTT_S, np.median(by_mtt, axis=1), marker="o", label=f"step {step_s:g} s")[0]
            axes.fill_between(MTT_S, by_mtt.min(axis=1), by_mtt.max(axis=1), alpha=0.2, color=line.get_color())
        axes.axhline(0, color="black", lw=0.6)
        axes.set_xlabel("MTT, s")
        axes.set_ylabel(f"error of {name}")
    figure.axes[0].legend()
    figure.suptitle("Noiseless exponential residue functions: median and range over delays of 0 to 8 s")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    kept = noiseless()
    drawn()
    noisy()
    ratio()
    if arguments.plot:
        plotted(kept, arguments.plot)


if __name__ == "__main__":
    main()
