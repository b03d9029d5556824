"""Write docs/models.md and the README's table of models from the packages' own cards.

``python scripts/make_model_docs.py`` writes them; ``--check`` only says whether they are in step (exit code 1 if not).
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from adapters.vision.package import PackageSummary, list_packages
from adapters.vision.package_format import Evaluation, ModelCard

PAGE = ROOT / "docs" / "models.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- models: made by scripts/make_model_docs.py -->", "<!-- /models -->"


def main() -> int:
    """Write or check both documents."""
    packages = [package for package in list_packages(ROOT / "models") if package.card]
    default = (ROOT / "models" / "default").read_text().strip()
    readme = README.read_text("utf-8")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = {
        PAGE: _page(packages, default),
        README: f"{before}{BEGIN}\n{_table(packages, default)}\n{END}{after}",
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the cards say; run: make generate")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], "utf-8")
    return 0


def _table(packages: list[PackageSummary], default: str) -> str:
    lines = [
        "| Model | AUC | Accuracy at 0.5 | ECE | At the operating threshold: sensitivity / specificity | File |",
        "|---|---|---|---|---|---|",
    ]
    for package in packages:
        card, evaluation = _parts(package)
        mark = " (default)" if package.name == default else ""
        half = evaluation.extra["on_the_evaluation_half"]
        lines.append(
            f"| {card.title}{mark} | {evaluation.auc:.3f} ({_span(evaluation.auc_interval)}) "
            f"| {evaluation.accuracy:.3f} ({_span(evaluation.accuracy_interval)}) | {half['ece']['value']:.3f} "
            f"| {half['sensitivity']['value']:.3f} / {half['specificity']['value']:.3f} "
            f"| {package.size_bytes / 1e6:.0f} MB, {card.storage.weights} |"
        )
    _, evaluation = _parts(packages[0])
    return "\n".join(lines) + (
        f"\n\nProtocol: {evaluation.protocol}; n = {evaluation.n:,} for AUC and accuracy, "
        f"{evaluation.extra['n_evaluation']:,} for the rest; 95 % bootstrap intervals over patches in brackets."
    )


def _page(packages: list[PackageSummary], default: str) -> str:
    head = (
        "# Models\n\nMade by `scripts/make_model_docs.py` from the packages' cards. `histovox models show NAME` \n"
        "prints one in the terminal, `histovox models verify` checks the files.\n\n"
    )
    return head + _table(packages, default) + "\n" + "".join(_section(package) for package in packages)


def _section(package: PackageSummary) -> str:
    card, evaluation = _parts(package)
    assert package.config is not None
    point, training = card.operating_point, card.training
    half = evaluation.extra["on_the_evaluation_half"]
    rows = {
        "Architecture": f"`{package.config.architecture}`, {package.config.patch_size_pixels} px patches at "
        f"{package.config.spacing_um_px} µm a pixel",
        "Training data": f"{training.data}; {training.patches:,} patches",
        "Started from": training.started_from,
        "Recipe": ", ".join(f"{phase['epochs']} epochs on {phase['crop_px']} px" for phase in training.recipe["phases"])
        + f"; batch {training.recipe['batch_size']}, AdamW {training.recipe['learning_rate']:g}; "
        "symmetries, stain, brightness, scale, blur and JPEG augmentation; averaged weights (EMA)",
        "Evaluated on": f"{evaluation.protocol} (n = {evaluation.n:,}); only the operating point was chosen on them",
        "Sensitivity / specificity at 0.5, raw": f"{evaluation.sensitivity:.3f} / {evaluation.specificity:.3f}",
        "Operating point": f"temperature {point.temperature:g}, bias {point.bias:g}, threshold {point.threshold:g}, "
        f"uncertain from {point.band[0]:g} to {point.band[1]:g}",
        "Chosen": card.operating_point_protocol,
        "Storage": f"{card.storage.weights}; {card.storage.measured_difference}",
        "Appearance guard": card.appearance.protocol,
        "Licence": card.licence,
        "SHA-256": f"`{card.sha256}`",
    }
    table = "".join(f"| {name} | {text} |\n" for name, text in rows.items())
    figures = "".join(
        f"| {name.replace('_', ' ')} | {figure['value']:.3f} | {_span(figure['interval'])} |\n"
        for name, figure in half.items()
    )
    limits = "".join(f"- {limit}\n" for limit in card.limits)
    return (
        f"\n## {card.title}\n\n{card.intended_use}\n\n| | |\n|---|---|\n{table}\n"
        f"On the evaluation half ({evaluation.extra['n_evaluation']:,} patches, after calibration on the other "
        f"{evaluation.extra['n_calibration']:,}):\n\n| Measure | Value | 95 % interval |\n|---|---|---|\n{figures}\n"
        f"Limits:\n\n{limits}"
    )


def _parts(package: PackageSummary) -> tuple[ModelCard, Evaluation]:
    if package.card is None or package.card.evaluation is None:
        raise SystemExit(f"{package.name} has no evaluation; it cannot be shipped.")
    return package.card, package.card.evaluation


def _span(interval: tuple[float, float] | list[float]) -> str:
    return f"{interval[0]:.3f}–{interval[1]:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
