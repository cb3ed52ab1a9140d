"""plot.py RESULTS.JSON FOLDER: a bar for each peer and quantity, one SVG a case.

Run by the Python of `.bench/venv`: it needs matplotlib and nothing of ours.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

COLOURS = {"hostwright": "#1f6feb", "limit": "#57606a"}
OTHERS = ("#bf8700", "#8250df", "#1a7f37", "#cf222e", "#bc4c00", "#bf3989")
UNITS = ("s", "requests/s", "ms", "MiB")  # what is drawn
WIDE = 20  # times: from where on a scale is logarithmic


def main(file: Path, folder: Path) -> None:
    """Draw all cases."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "hostwright", "font.size": 9})
    folder.mkdir(parents=True, exist_ok=True)
    for name, case in json.loads(file.read_text()).items():
        units = {unit: drawn(case, unit) for unit in UNITS}
        units = {unit: found for unit, found in units.items() if found}
        if units:
            draw(case, units, folder / f"{name}.svg")


def drawn(case: dict[str, Any], unit: str) -> dict[str, list[dict[str, Any]]]:
    """Quantity -> samples, of those that somebody else was measured in too."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in case["samples"]:
        if one["unit"] == unit:
            found.setdefault(one["what"], []).append(one)
    return {what: samples for what, samples in found.items() if len(samples) > 1}


def draw(case: dict[str, Any], units: dict[str, dict[str, list[dict[str, Any]]]], path: Path) -> None:
    """One row of axes a unit."""
    from matplotlib import pyplot

    bars = [sum(map(len, found.values())) + len(found) for found in units.values()]
    figure, rows = pyplot.subplots(
        len(units), 1, figsize=(8, 0.9 * len(units) + 0.22 * sum(bars)), squeeze=False,
        gridspec_kw={"height_ratios": bars},
    )  # fmt: skip
    others = sorted({one["peer"] for one in case["samples"]} - {case["limit"], "hostwright"})
    colours = {peer: OTHERS[number % len(OTHERS)] for number, peer in enumerate(others)}
    colours |= {"hostwright": COLOURS["hostwright"], case["limit"]: COLOURS["limit"]}
    for axes, (unit, found) in zip(rows[:, 0], units.items(), strict=True):
        bar_rows(axes, found, colours)
        axes.set_xlabel(unit)
    figure.suptitle(case["title"])
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def bar_rows(axes: Any, found: dict[str, list[dict[str, Any]]], colours: dict[str, str]) -> None:
    """Medians as bars, with the lowest and highest value as a line."""
    labels, medians, place = [], [], 0
    for what, samples in found.items():
        for one in samples:
            median = statistics.median(one["values"])
            medians.append(median)
            axes.barh(place, median, color=colours[one["peer"]], height=0.8)
            axes.plot((min(one["values"]), max(one["values"])), (place, place), color="black", linewidth=1)
            axes.annotate(f" {median:.3g}", (max(one["values"]), place), va="center", fontsize=7)
            labels.append((place, f"{what}: {one['peer']}"))
            place += 1
        place += 1
    axes.set_yticks([at for at, _ in labels], [text for _, text in labels], fontsize=7)
    axes.invert_yaxis()
    if min(medians) > 0 and max(medians) > WIDE * min(medians):
        axes.set_xscale("log")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
