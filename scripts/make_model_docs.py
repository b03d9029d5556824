"""Write docs/models.md, a model card a package under docs/cards/, and the README's table, from the packages' own cards.

``python scripts/make_model_docs.py`` writes them; ``--check`` only says whether they are in step (exit code 1 if not).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from adapters.models.package import list_packages
from adapters.models.registry import architecture, architecture_names
from domain.model_package import Evaluation, ModelCard, PackageSummary

PAGE = ROOT / "docs" / "models.md"
CARDS = ROOT / "docs" / "cards"
ZOO = ROOT / "docs" / "zoo.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- models: made by scripts/make_model_docs.py -->", "<!-- /models -->"
MEASURES = (
    "auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "sensitivity",
    "specificity",
    "precision",
    "ece",
    "nll",
    "brier",
    "uncertain_share",
    "accuracy_when_certain",
)


def main() -> int:
    """Write or check all documents."""
    packages = [package for package in list_packages(ROOT / "models") if package.card]
    default = (ROOT / "models" / "default").read_text().strip()
    packages.sort(key=lambda package: (package.name != default, -_parts(package)[1].auc))
    readme = README.read_text("utf-8")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = {
        PAGE: _page(packages, default),
        README: f"{before}{BEGIN}\n{_summary(packages, default)}\n{END}{after}",
    } | {CARDS / f"{package.name}.md": _card(package) for package in packages}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    left_over = [path for path in CARDS.glob("*.md") if path not in wanted]
    if "--check" in sys.argv[1:]:
        for path in [*stale, *left_over]:
            print(f"{path.relative_to(ROOT)} is not what the cards say; run: make generate")
        return 1 if stale or left_over else 0
    CARDS.mkdir(exist_ok=True)
    for path in left_over:
        path.unlink()
    for path in stale:
        path.write_text(wanted[path], "utf-8")
    return 0


def _summary(packages: list[PackageSummary], default: str) -> str:
    """What the README says: three columns; the rest is on the page of the models."""
    lines = ["| Model | AUC (95 %) | Sensitivity / specificity at its threshold |", "|---|---|---|"]
    for package in packages:
        _, evaluation = _parts(package)
        lines.append(
            f"| {_titled(package, default)} | {evaluation.auc:.3f} ({_span(evaluation.auc_interval)}) "
            f"| {evaluation.sensitivity:.3f} / {evaluation.specificity:.3f} |"
        )
    return "\n".join([*lines, "", _protocol(packages)])


def _titled(package: PackageSummary, default: str) -> str:
    return f"{_parts(package)[0].title}{' (default)' if package.name == default else ''}"


def _protocol(packages: list[PackageSummary]) -> str:
    _, evaluation = _parts(packages[0])
    return (
        f"Protocol: {evaluation.protocol}; n = {evaluation.n:,}, the half that chose nothing; 95 % bootstrap "
        "intervals over patches in brackets."
    )


def _table(packages: list[PackageSummary], default: str) -> str:
    lines = [
        "| Model | AUC | AUC, eight views | Accuracy at 0.5 | At the threshold: sensitivity / specificity | ECE "
        "| File |",
        "|---|---|---|---|---|---|---|",
    ]
    for package in packages:
        card, evaluation = _parts(package)
        views, half = evaluation.extra["eight_views"], evaluation.extra["at_half"]
        lines.append(
            f"| {_titled(package, default)} | {evaluation.auc:.3f} ({_span(evaluation.auc_interval)}) "
            f"| {_averaged(views)} | {half['accuracy']:.3f} "
            f"| {evaluation.sensitivity:.3f} / {evaluation.specificity:.3f} | {evaluation.ece:.3f} "
            f"| {package.size_bytes / 1e6:.0f} MB, {card.storage.weights} |"
        )
    views_explained = "Eight views: margins averaged over the symmetries of the square."
    return "\n".join([*lines, "", f"{_protocol(packages)} {views_explained}"])


def _averaged(views: dict[str, Any]) -> str:
    return f"{views['auc']['value']:.3f} ({_span(views['auc']['interval'])})" if views else "–"


def _page(packages: list[PackageSummary], default: str) -> str:
    cards = "".join(f"- [{_parts(package)[0].title}](cards/{package.name}.md)\n" for package in packages)
    return (
        "# Models\n\nMade by `scripts/make_model_docs.py` from the packages' cards. `histovox models show NAME`\n"
        "prints one in the terminal, `histovox models verify` checks the files, `make evaluate` measures again.\n"
        "What was tried to make them better, and what it gave, is in [experiments.md](experiments.md).\n\n"
        f"## Shipped\n\n{_table(packages, default)}\n\nModel cards:\n\n{cards}\n{_zoo(packages)}"
    )


def _zoo(packages: list[PackageSummary]) -> str:
    """Every architecture: counted and measured by ``python -m benchmarks.zoo``."""
    measured: dict[str, Any] = json.loads(ZOO.read_text("utf-8")) if ZOO.is_file() else {}
    shipped = {package.config.architecture: package for package in packages if package.config}
    lines = [
        "## The zoo\n",
        "Each of these trains, evaluates, packages, loads and serves (`make train DATA=… MODEL=name`); a test that is",
        "parametrised over the registry proves it. AUC and ECE stand where weights are shipped; nothing is claimed of",
        "the rest.\n",
        "| Name | Family | Parameters, M | GMAC | Patches/s | One patch, ms | Training, patches/s | AUC | ECE |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in architecture_names():
        known = architecture(name)
        row = measured.get("architectures", {}).get(name, {})
        counted = [f"{row[key]:g}" if key in row else "–" for key in ("parameters_m", "gmacs")]
        speeds = [f"{row[key]:,.0f}" if key in row else "–" for key in ("patches_per_s", "single_ms")]
        training = f"{row['training_patches_per_s']:,.0f}" if row else "–"
        quality = ["–", "–"]
        if name in shipped:
            _, evaluation = _parts(shipped[name])
            quality = [f"{evaluation.auc:.3f}", f"{evaluation.ece:.3f}"]
        cells = " | ".join([f"`{name}`", known.family, *counted, *speeds, training, *quality])
        lines.append(f"| {cells} |")
    if measured:
        busy = f" {measured['busy']}" if measured.get("busy") else ""
        machine = "; ".join(measured["machine"])
        lines.append(
            f"\n`python -m benchmarks.zoo`, {measured['protocol']}. Machine: {machine}.{busy} One "
            "patch: the same one over and over, so that everything lies in the cache; in turn with other work it takes "
            "longer (see [benchmarks](benchmarks.md))."
        )
    sources = dict.fromkeys(
        f"- {architecture(name).family}: {architecture(name).source}" for name in architecture_names()
    )
    return "\n".join([*lines, "\nSources:\n", *sources]) + "\n"


def _card(package: PackageSummary) -> str:
    card, evaluation = _parts(package)
    assert package.config is not None
    point, recipe = card.operating_point, card.training.recipe
    extra = evaluation.extra
    rows = {
        "Architecture": f"`{package.config.architecture}`: {architecture(package.config.architecture).source}",
        "Looks at": _looks_at(package),
        "Training data": f"{card.training.data}; {card.training.patches:,} patches",
        "Started from": card.training.started_from,
        "Recipe": _recipe(recipe, card.training.epochs),
        "Trained on": recipe.get("trained_on", ""),
        "Storage": f"{card.storage.weights}; {card.storage.measured_difference}",
        "Operating point": f"temperature {point.temperature:g}, bias {point.bias:g}, threshold {point.threshold:g}, "
        f"uncertain from {point.band[0]:g} to {point.band[1]:g}",
        "Chosen": card.operating_point_protocol,
        "Appearance guard": card.appearance.protocol,
        "Licence": card.licence,
        "SHA-256": f"`{card.sha256}`",
    }
    table = "".join(f"| {name} | {text} |\n" for name, text in rows.items() if text)
    limits = "".join(f"- {limit}\n" for limit in card.limits)
    shifted = max((row["n"] for row in extra["robustness"]), default=1000)
    return (
        f"# {card.title}\n\n{card.intended_use}\n\n| | |\n|---|---|\n{table}\n## Measured\n\n"
        f"{extra['protocol']}\n\n{_figures(evaluation)}\n{_other_readings(evaluation)}\n"
        f"## Other scanners, stains and codecs\n\n{_robustness(extra['robustness'])}\n"
        f"## Limits and failures seen\n\n{limits}\n## Measure it again\n\n"
        f'```sh\nmake evaluate DATA=folder MODEL={package.name} ARGS="--split valid --robustness --shifted {shifted}"\n'
        f'make evaluate DATA=folder MODEL={package.name} ARGS="--split valid --tta"\n```\n\n'
        "The same figures come from the same patches under the same names: see docs/training.md.\n"
    )


def _figures(evaluation: Evaluation) -> str:
    lines = ["| Measure | Value | 95 % interval |", "|---|---|---|"]
    values = evaluation.extra | evaluation.model_dump()
    for name in MEASURES:
        interval = evaluation.extra["intervals"].get(name)
        if values.get(name) is not None and interval:
            lines.append(f"| {name.replace('_', ' ')} | {values[name]:.3f} | {_span(interval)} |")
    return "\n".join(lines) + f"\n\nIntervals: {evaluation.extra['interval_method']}.\n"


def _other_readings(evaluation: Evaluation) -> str:
    half, views, everything = (evaluation.extra[key] for key in ("at_half", "eight_views", "all_patches"))
    lines = [
        f"- At raw probability 0.5: accuracy {half['accuracy']:.3f}, sensitivity {half['sensitivity']:.3f}, "
        f"specificity {half['specificity']:.3f}.",
    ]
    if views:
        lines.append(
            f"- Averaged over the eight symmetries: AUC {_averaged(views)}, "
            f"accuracy {views['accuracy']['value']:.3f}, sensitivity {views['sensitivity']['value']:.3f}, specificity "
            f"{views['specificity']['value']:.3f} at the threshold, ECE {views['ece']['value']:.3f}."
        )
    if everything:
        lines.append(
            f"- On all {everything['n']:,} patches, the tuning half included: AUC {everything['auc']:.3f} "
            f"({_span(everything['intervals']['auc'])}), accuracy {everything['at_half']['accuracy']:.3f} at 0.5."
        )
    return "\n".join(lines) + "\n"


def _robustness(rows: list[dict[str, Any]]) -> str:
    lines = ["| Copy of the patches | n | AUC | Accuracy | Sensitivity | Specificity |", "|---|---|---|---|---|---|"]
    for row in rows:
        cells = " | ".join(f"{row[key]:.3f}" for key in ("auc", "accuracy", "sensitivity", "specificity"))
        lines.append(f"| {row['name']} | {row['n']:,} | {cells} |")
    return "\n".join(lines) + "\n\nAt the operating threshold, which was chosen on patches as they are.\n"


def _looks_at(package: PackageSummary) -> str:
    assert package.config is not None
    config, steps = package.config, package.config.preprocessing()
    side, shown = steps.resize_px or config.patch_size_pixels, steps.crop_px or steps.resize_px
    centre = round((steps.crop_px or side) * config.patch_size_pixels / side)
    seen = f", of which the network sees the centre {centre}×{centre}" if centre < config.patch_size_pixels else ""
    seen += f", enlarged to {shown}×{shown}" if steps.resize_px and shown != centre else ""
    return f"{config.patch_size_pixels}×{config.patch_size_pixels} px at {config.spacing_um_px} µm a pixel{seen}"


def _recipe(recipe: dict[str, Any], kept: float) -> str:
    epochs = sum(phase["epochs"] for phase in recipe["phases"])
    parts = [", ".join(f"{phase['epochs']} epochs on {phase['crop_px']} px" for phase in recipe["phases"])]
    if kept < epochs:
        parts[0] += f", of which the weights after epoch {kept:g} were the best and are kept"
    parts.append(f"batch {recipe['batch_size']}, AdamW {recipe['learning_rate']:g}")
    if recipe.get("teacher"):
        parts.append(f"learned {recipe['teacher_share']:.0%} from {', '.join(recipe['teacher'])}")
    parts.append("symmetries, stain, brightness, scale, blur, resampling and JPEG augmentation; averaged weights (EMA)")
    return "; ".join(parts)


def _parts(package: PackageSummary) -> tuple[ModelCard, Evaluation]:
    if package.card is None or package.card.evaluation is None:
        raise SystemExit(f"{package.name} has no evaluation; it cannot be shipped.")
    return package.card, package.card.evaluation


def _span(interval: tuple[float, float] | list[float]) -> str:
    return f"{interval[0]:.3f}–{interval[1]:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
