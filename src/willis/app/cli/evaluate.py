"""``willis evaluate``: predicted masks against their references, case by case and over the cohort."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from willis import __version__
from willis.errors import BadInputError, WillisError
from willis.io.pairs import Pair, pair_files

if TYPE_CHECKING:
    from willis.measure.cohort import Agreement, Summary

SOME_FAILED = 3  # exit code: done, but some cases failed
FAILURES = ("failed", "no prediction")
SHOWN_CASES = 30  # most cases that the terminal lists; the table holds all


@dataclass(frozen=True)
class CaseResult:
    """One case: its metrics, or why there are none.

    ``status`` is done, failed, "no prediction" (which counts as failed) or "no reference" (which doesn't: nothing can
    have been missed).
    """

    pair: Pair
    values: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""
    status: str = "done"


def evaluate(
    predictions: Path,
    references: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    label: int | None = None,
    prediction_pattern: str | None = None,
    reference_pattern: str | None = None,
    missing_as_empty: Annotated[bool, Parameter(negative=())] = False,
    seed: int = 0,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Compare masks with their references.

    Parameters
    ----------
    predictions
        Folder of predicted masks, or one file.
    references
        Folder of reference masks, or one file; paired with the predictions by name.
    output
        Table to write, one row a case (.tsv); a summary is written beside it (.json).
    label
        Label of both images that is compared, where they hold several.
    prediction_pattern
        Which predictions to take, as a glob such as "**/*_label-wmh_mask.nii.gz"; else those named as masks.
    reference_pattern
        Which references to take, likewise.
    missing_as_empty
        Count a reference without a prediction as one where nothing was found, instead of leaving it out.
    seed
        Of the bootstrap intervals.
    overwrite
        Replace a table that is there already.
    """
    from willis.app.cli.progress import ProgressReport
    from willis.io.tables import write_json, write_table
    from willis.measure.cohort import agree, summarise

    summary_path = _check_output(output, overwrite=overwrite)
    pairs = pair_files(
        predictions, references, prediction_pattern=prediction_pattern, reference_pattern=reference_pattern
    )
    results = []
    with ProgressReport() as progress:
        for done, pair in enumerate(pairs):
            progress(done / len(pairs), "evaluating")
            results.append(_evaluate_pair(pair, label, missing_as_empty=missing_as_empty))
    rows = [result.values for result in results if result.values]
    if not rows:
        first = next((result for result in results if result.status == "failed"), results[0])
        raise BadInputError(f"no case could be evaluated: {first.pair.case}: {first.problem}")
    summaries, agreements = summarise(rows, seed), agree(rows)
    write_table([_row(result) for result in results], output)
    settings = {"label": label, "missing_as_empty": missing_as_empty, "seed": seed}
    write_json(_summary(results, summaries, agreements, settings), summary_path)
    _show(results, summaries, agreements)
    print(f"\nTable: {output}\nSummary: {summary_path}")
    return SOME_FAILED if any(result.status in FAILURES for result in results) else 0


def _check_output(output: Path, *, overwrite: bool) -> Path:
    if output.suffix != ".tsv":
        raise BadInputError(f"the table is written as .tsv; found {output.name}.")
    summary = output.with_suffix(".json")
    if there := [path for path in (output, summary) if path.exists() and not overwrite]:
        raise BadInputError(f"{there[0]} is there already. Pass --overwrite to replace it, or name another.")
    return summary


def _evaluate_pair(pair: Pair, label: int | None, *, missing_as_empty: bool) -> CaseResult:
    from willis.io.nifti import read_nifti
    from willis.measure.case import empty_like, evaluate_case, mask_of, onto_axes_of

    if pair.problem:
        return CaseResult(pair, problem=pair.problem, status="failed")
    if pair.reference is None:
        return CaseResult(pair, problem="it has no reference.", status="no reference")
    if pair.prediction is None and not missing_as_empty:
        return CaseResult(pair, problem="it has no prediction.", status="no prediction")
    path = pair.reference
    try:
        reference = mask_of(read_nifti(path, allow_empty=True), label)
        if pair.prediction is None:
            prediction = empty_like(reference).noted("No prediction: taken as empty.")
        else:
            path = pair.prediction
            prediction = onto_axes_of(reference.grid, mask_of(read_nifti(path, allow_empty=True), label))
        return CaseResult(pair, evaluate_case(prediction, reference), prediction.notes + reference.notes)
    except WillisError as error:
        named = str(path) in str(error)
        return CaseResult(pair, problem=str(error) if named else f"{path.name}: {error}", status="failed")


def _row(result: CaseResult) -> dict[str, Any]:
    from willis.measure.case import COLUMNS

    return {
        "case": result.pair.case,
        "status": result.status,
        **{name: result.values.get(name) for name in COLUMNS},
        "prediction": result.pair.prediction and result.pair.prediction.name,
        "reference": result.pair.reference and result.pair.reference.name,
        "notes": " ".join([*result.notes, result.problem]).strip() or None,
    }


def _summary(
    results: list[CaseResult], summaries: list[Summary], agreements: list[Agreement], settings: dict[str, Any]
) -> dict[str, Any]:
    return {
        "willis": __version__,
        "settings": settings,
        "cases": {
            "all": len(results),
            "evaluated": sum(not result.problem for result in results),
            "not_evaluated": {result.pair.case: result.problem for result in results if result.problem},
        },
        "metrics": {
            s.metric.name: {
                "mean": s.mean,
                "interval": s.interval,
                "spread": s.spread,
                "median": s.median,
                "cases": s.count,
                "undefined": s.undefined,
                "unit": s.metric.unit,
                "better": s.metric.better,
            }
            for s in summaries
        },
        "agreement": {a.name: {key: value for key, value in asdict(a).items() if key != "name"} for a in agreements},
    }


def _show(results: list[CaseResult], summaries: list[Summary], agreements: list[Agreement]) -> None:
    from rich.console import Console

    from willis.app.cli.evaluate_tables import agreement_lines, case_table, summary_table

    console = Console()
    done = [result for result in results if not result.problem]
    if 1 < len(done) <= SHOWN_CASES:
        console.print(case_table([(result.pair.case, result.values) for result in done]))
    console.print(summary_table(summaries, len(done)))
    for line in agreement_lines(agreements):
        console.print(line, highlight=False, soft_wrap=True)
    for result in results:
        if result.problem:
            print(f"{result.pair.case}: {result.problem}", file=sys.stderr)
        for note in result.notes:
            print(f"{result.pair.case}: {note}", file=sys.stderr)
