"""A page that shows runs side by side: samples step by step, curves, scores, and what differs in their parameters."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from modescope.config import results_folder
from modescope.dotted import dotted
from modescope.files import atomic_path, read_json
from modescope.pictures import read_picture
from modescope.report.brief import SHOWN, metrics_file
from modescope.report.page import Html, Page, Section, to_html
from modescope.report.results import Run
from modescope.report.sketch import Line, sketch
from modescope.report.tables import Column, Table, Value, columns
from modescope.runs.folder import read_rows, read_run

MOST_PICTURES, QUALITY = 250, 60  # of a page that stays below 10 MB; of WebP
SOURCE = "Scores, curves and pictures are those of the runs' files, as they lie here or as MLflow holds them."


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Runs as they lie in their folders, without values where nothing was measured."""
    infos = [(folder, read_run(folder)) for folder in folders]
    files = [metrics_file(info["study"], info["run"]) for _, info in infos]
    return [
        Run(info["study"], info["run"], folder, info, read_json(file) if file.exists() else {})
        for (folder, info), file in zip(infos, files, strict=True)
    ]


def write_comparison(runs: Sequence[Run], links: Mapping[str, str], file: Path) -> int:
    """Write the page and return its size in bytes; `links` are pages in MLflow by key."""
    groups = by_seed(runs)
    colours = {name: f"hsl({360 * place // len(groups)} 65% 45%)" for place, name in enumerate(groups)}
    content = [samples(runs, links), *([changed(runs)] if len(runs) > 1 else []), scores(groups)]
    content.append(curves(groups, colours))
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs side by side"
    facts = [("runs", str(len(runs))), ("results", str(results_folder(Path())))]
    section = Section("runs", "", [], content, has_files=False)
    html = to_html(Page(title, "", facts, [section], source=SOURCE))
    with atomic_path(file) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return file.stat().st_size


def by_seed(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that differ in nothing but their seed, under the name of the first."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        same = (name for name, found in groups.items() if _but_the_seed(found[0]) == _but_the_seed(run))
        groups.setdefault(next(same, run.name), []).append(run)
    return groups


def _but_the_seed(run: Run) -> tuple:
    params = {name: value for name, value in dotted(run.info["params"]).items() if name != "seed"}
    return run.study, run.info["model"], run.info["data"].get("split"), params


def changed(runs: Sequence[Run]) -> Table:
    """A row for every parameter in which the runs differ, a column for every run."""
    params = {run.name: dotted(run.info["params"]) | {"model": run.info["model"]} for run in runs}
    params = {
        name: own | {"split": run.info["data"].get("split")}
        for run, (name, own) in zip(runs, params.items(), strict=True)
    }
    names = dict.fromkeys(name for own in params.values() for name in own)
    rows = [
        {"row": name} | {run: _text(own.get(name)) for run, own in params.items()}
        for name in names
        if len({_text(own.get(name)) for own in params.values()}) > 1
    ]
    shown = [*columns("row"), *(Column(run, run) for run in params)]
    caption = "Parameters that are the same in all runs are left out." if rows else "All parameters are the same."
    return Table("changed", "What differs in the parameters", shown, rows, caption)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def scores(groups: Mapping[str, Sequence[Run]]) -> Table:
    """A row for every run; those that differ in their seed alone are one row, mean and standard deviation."""
    rows = []
    for name, found in groups.items():
        row: dict[str, Value] = {"row": name + (f" ({len(found)} seeds)" if len(found) > 1 else "")}
        for column in SHOWN:
            values = [run.values[column.key] for run in found if column.key in run.values]
            if values:
                row[column.key] = mean(values) if len(values) > 1 else values[0]
                row |= {f"{column.key}_sd": stdev(values)} if len(values) > 1 else {}
        rows.append(row)
    shown = [replace(column, spread=f"{column.key}_sd") for column in SHOWN if any(column.key in row for row in rows)]
    caption = "± is the standard deviation (n - 1) over training runs that differ in their seed alone."
    return Table("scores", "Scores", [*columns("row"), *shown], rows, caption)


def curves(groups: Mapping[str, Sequence[Run]], colours: Mapping[str, str]) -> Html:
    """A chart for every curve: a line for each run; over seeds the mean, in a band of a standard deviation."""
    rows = {run.name: read_rows(run.folder) for found in groups.values() for run in found}
    metrics = dict.fromkeys(name for table in rows.values() for values in table.values() for name in values)
    charts = []
    for metric in metrics:
        lines = []
        for name, found in groups.items():
            points = [{step: own[metric] for step, own in rows[run.name].items() if metric in own} for run in found]
            steps = sorted(set.intersection(*map(set, points)))
            values = [[each[step] for each in points] for step in steps]
            spread = [stdev(each) if len(each) > 1 else 0.0 for each in values]
            if steps:
                lines.append(Line(name, colours[name], steps, [mean(each) for each in values], spread))
        charts.append((metric, sketch(lines)))
    return _html("curves", "Curves", charts=charts, colours=colours)


def samples(runs: Sequence[Run], links: Mapping[str, str]) -> Html:
    """Every run's previews under one slider: the last of each up to the step that it stands at."""
    most = max(1, MOST_PICTURES // len(runs))
    shown = []
    for run in runs:
        files = sorted((run.folder / "samples").glob("step-*.png"))
        files = (
            [files[round(at * (len(files) - 1) / (most - 1 or 1))] for at in range(most)]
            if len(files) > most
            else files
        )
        pictures = [(int(file.stem.removeprefix("step-")), _webp(file)) for file in files]
        shown.append({"name": run.name, "link": links.get(run.info["key"]), "pictures": pictures})
    steps = sorted({step for run in shown for step, _ in run["pictures"]})
    return _html("samples", "Samples", runs=shown, steps=steps)


def _webp(file: Path) -> str:
    kept = io.BytesIO()
    read_picture(file).convert("RGB").save(kept, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(kept.getvalue()).decode()


def _html(name: str, title: str, **values: object) -> Html:
    options = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), **options)
    return Html(name, title, Markup(templates.get_template(f"compared_{name}.html.j2").render(values)))
