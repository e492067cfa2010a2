"""``willis evaluate``: predicted masks against their references, case by case and over the cohort."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from willis import __version__
from willis.errors import BadInputError, WillisError
from willis.io.pairs import Pair, pair_files
from willis.units import counted

if TYPE_CHECKING:
    from willis.app.cli.evaluate_groups import GroupResult
    from willis.io.groups import Grouping
    from willis.measure.by_group import SliceCounts
    from willis.measure.cohort import Agreement, Summary
    from willis.volume.volume import Volume

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
    slices: SliceCounts | None = None

    @property
    def failed(self) -> bool:
        """Whether it has a reference and counts in nothing."""
        return self.status in FAILURES


def evaluate(
    predictions: Path,
    references: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    label: int | None = None,
    prediction_pattern: str | None = None,
    reference_pattern: str | None = None,
    missing_as_empty: Annotated[bool, Parameter(negative=())] = False,
    groups: Path | None = None,
    group_column: str | None = None,
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
    groups
        Table with a column of cases or patients (participant_id, …) and one of their groups, such as BIDS'
        participants.tsv: every measure is given by group too, and two tables more are written (-groups.tsv,
        -slices.tsv).
    group_column
        Column of groups in that table; else "group".
    seed
        Of the bootstrap intervals.
    overwrite
        Replace a table that is there already.
    """
    from willis.app.cli.evaluate_groups import (
        group_rows,
        groups_record,
        patients_of,
        results_of_groups,
        sentences,
        slice_rows,
    )
    from willis.app.cli.progress import ProgressReport
    from willis.io.tables import write_json, write_table
    from willis.measure.cohort import agree, summarise

    summary_path = output.with_suffix(".json")
    more = [output.with_name(f"{output.stem}-{what}.tsv") for what in ("groups", "slices")] if groups else []
    _check_output(output, [summary_path, *more], groups, overwrite=overwrite)
    if label is not None and label < 1:
        raise BadInputError(
            f"--label is {label}; a label is a whole number from 1, as 0 is what is outside all of them."
        )
    pairs = pair_files(
        predictions, references, prediction_pattern=prediction_pattern, reference_pattern=reference_pattern
    )
    grouping = _grouping(groups, group_column, pairs)
    results = []
    with ProgressReport() as progress:
        for number, pair in enumerate(pairs):
            progress(number / len(pairs), "evaluating")
            results.append(_evaluate_pair(pair, label, missing_as_empty=missing_as_empty))
    done = [result for result in results if result.values]
    if not done:
        first = next((result for result in results if result.status == "failed"), results[0])
        raise BadInputError(f"no case could be evaluated: {first.pair.case}: {first.problem}")
    rows, patients = [result.values for result in done], patients_of(done)
    summaries, agreements = summarise(rows, seed, patients), agree(rows)
    by_group = [] if grouping is None else results_of_groups(results, grouping, seed)
    settings = {"label": label, "missing_as_empty": missing_as_empty, "seed": seed}
    summary = _summary(results, summaries, agreements, settings)
    write_table([_row(result, grouping) for result in results], output)
    if grouping is not None:
        summary |= groups_record(by_group, grouping)
        write_table(group_rows(by_group), more[0])
        write_table(slice_rows(results, grouping), more[1])
    write_json(summary, summary_path)
    _show(results, summaries, agreements, by_group)
    if groups is not None and grouping is not None:
        for sentence in sentences(grouping, groups):
            print(sentence, file=sys.stderr)
    if (persons := len(set(patients))) < len(patients):
        print(
            f"{len(patients)} cases are of {counted(persons, 'patient')}: intervals of means are over patients; those "
            "of agreement take each case for a patient.",
            file=sys.stderr,
        )
    print(f"\nTable: {output}\nSummary: {summary_path}")
    return SOME_FAILED if any(result.failed for result in results) else 0


def _check_output(output: Path, others: list[Path], groups: Path | None, *, overwrite: bool) -> None:
    if output.suffix != ".tsv":
        raise BadInputError(f"the table is written as .tsv; found {output.name}.")
    if groups is not None and groups.resolve() in [path.resolve() for path in (output, *others)]:
        raise BadInputError(f"{groups} is the table of groups and would be written over. Name another output.")
    if there := [path for path in (output, *others) if path.exists() and not overwrite]:
        raise BadInputError(f"{there[0]} is there already. Pass --overwrite to replace it, or name another.")


def _grouping(table: Path | None, column: str | None, pairs: list[Pair]) -> Grouping | None:
    from willis.io.groups import GROUP, group_cases

    if table is None:
        if column is not None:
            raise BadInputError("--group-column is of the table that --groups names; give that too.")
        return None
    return group_cases(table, [pair.case for pair in pairs], GROUP if column is None else column)


def _evaluate_pair(pair: Pair, label: int | None, *, missing_as_empty: bool) -> CaseResult:
    from willis.measure.by_group import axis_between_head_and_feet, count_slices
    from willis.measure.case import empty_like, evaluate_case, onto_one_lattice

    if pair.problem:
        return CaseResult(pair, problem=pair.problem, status="failed")
    if pair.reference is None:
        return CaseResult(pair, problem="it has no reference.", status="no reference")
    if pair.prediction is None and not missing_as_empty:
        return CaseResult(pair, problem="it has no prediction.", status="no prediction")
    path = pair.reference
    try:
        reference = _read_mask(path, label)
        if pair.prediction is None:
            prediction = empty_like(reference).noted("No prediction: taken as empty.")
        else:
            path = pair.prediction
            prediction, reference = onto_one_lattice(_read_mask(path, label), reference)
            if path.resolve() == pair.reference.resolve():
                prediction = prediction.noted("Prediction and reference are one file.")
        values = evaluate_case(prediction, reference)
        slices = count_slices(
            reference.data > 0, prediction.data > 0, reference.grid.voxel_ml, axis_between_head_and_feet(reference.grid)
        )
        return CaseResult(pair, values, prediction.notes + reference.notes, slices=slices)
    except WillisError as error:
        named = str(path) in str(error)
        return CaseResult(pair, problem=str(error) if named else f"{path.name}: {error}", status="failed")


def _read_mask(path: Path, label: int | None) -> Volume:
    from willis.io.nifti import read_nifti
    from willis.measure.case import mask_of

    image = read_nifti(path, allow_empty=True, straight=False)
    mask = mask_of(image, label)
    if image.data.any() and not mask.data.any():
        return mask.noted(f"{path.name} has labels, but not {label}: it was taken as empty.")
    return mask


def _row(result: CaseResult, grouping: Grouping | None) -> dict[str, Any]:
    from willis.measure.case import COLUMNS

    group = {} if grouping is None else {"group": grouping.of_case.get(result.pair.case)}
    return {
        "case": result.pair.case,
        "status": result.status,
        **group,
        **{name: result.values.get(name) for name in COLUMNS},
        "prediction": result.pair.prediction and result.pair.prediction.name,
        "reference": result.pair.reference and result.pair.reference.name,
        "notes": " ".join([*result.notes, result.problem]).strip() or None,
    }


def _summary(
    results: list[CaseResult], summaries: list[Summary], agreements: list[Agreement], settings: dict[str, Any]
) -> dict[str, Any]:
    from willis.app.cli.evaluate_groups import measures_record, patients_of

    return {
        "willis": __version__,
        "settings": settings,
        "cases": {
            "all": len(results),
            "evaluated": sum(not result.problem for result in results),
            "patients": len(set(patients_of([result for result in results if not result.problem]))),
            "not_evaluated": {result.pair.case: result.problem for result in results if result.problem},
        },
        **measures_record(summaries, agreements),
    }


def _show(
    results: list[CaseResult], summaries: list[Summary], agreements: list[Agreement], groups: list[GroupResult]
) -> None:
    from rich.console import Console

    from willis.app.cli.evaluate_groups import metric_table, score_table
    from willis.app.cli.evaluate_tables import agreement_lines, case_table, summary_table

    console = Console()
    done = [result for result in results if not result.problem]
    if 1 < len(done) <= SHOWN_CASES:
        console.print(case_table([(result.pair.case, result.values) for result in done]))
    console.print(summary_table(summaries, len(done)))
    for line in agreement_lines(agreements):
        console.print(line, highlight=False, soft_wrap=True)
    if groups:
        console.print(score_table(groups))
        console.print(metric_table(groups))
    for result in results:
        if result.problem:
            print(f"{result.pair.case}: {result.problem}", file=sys.stderr)
        for note in result.notes:
            print(f"{result.pair.case}: {note}", file=sys.stderr)
