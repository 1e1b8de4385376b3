"""Commands that learn and draw: train, generate, reproduce, models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from curate.cli.formatting import lines, print_json, say, seconds, show, tally
from curate.cli.options import READERS_WAIT_S, JsonOption, WaitOption, WorkspaceOption, opened
from curate.cli.pairs import read_settings

if TYPE_CHECKING:
    from curate.steps.generate import GenerateReport
    from curate.steps.models import ModelFacts
    from curate.steps.reproduce import ReproduceReport
    from curate.steps.train import TrainReport


def register(app: typer.Typer) -> None:
    """Put the commands on the app."""
    app.command(epilog="Example: curate train diffusion digits/train --preset tiny")(train)
    app.command(epilog="Example: curate generate digits-diffusion-1 --label 3 --label 7 --count 20 --seed 1")(generate)
    app.command(epilog="Example: curate reproduce --all digits-diffusion-1")(reproduce)
    app.command(epilog="Example: curate models")(models)


def train(
    family: Annotated[str, typer.Argument(help="The generator: diffusion (images) or causal-lm (text).")],
    spec: Annotated[str, typer.Argument(metavar="DATASET/train", help="The train part of a frozen split.")],
    preset: Annotated[str | None, typer.Option(help="Settings by name; the generator's smallest by default.")] = None,
    base: Annotated[str | None, typer.Option(help="Fine-tune this pretrained model: a local path or a hub name.")] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Tune low-rank adapters only.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting that differs from the preset's.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; DATASET-FAMILY-1 and so on by default.")] = None,
    include_synthetic: Annotated[
        bool, typer.Option("--include-synthetic", help="Learn from accepted synthetic samples too.")
    ] = False,
    max_share: Annotated[float, typer.Option(help="Share of each label that may be synthetic.")] = 0.5,
    max_depth: Annotated[
        int, typer.Option(min=1, help="Greatest generation depth of a synthetic sample that is learned from.")
    ] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Train a generator; after a kill the same command goes on, and the workspace stays free for others meanwhile."""
    from curate.generators import is_main_process
    from curate.steps.train import train as step

    with opened(workspace, detached=not is_main_process(), wait=wait) as ws:
        report = step(
            ws, family, spec, preset=preset, base=base, lora=lora, settings=read_settings(set_, "--set"), name=name,
            include_synthetic=include_synthetic, max_share=max_share, max_depth=max_depth, device=device,
        )  # fmt: skip
    if is_main_process():
        show(report, as_json, _describe_train)


def generate(
    model: Annotated[str, typer.Argument(help="A trained model's name.")],
    label: Annotated[
        list[str] | None, typer.Option(help="Draw this label (repeatable); all that the model knows by default.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How many draws of each label.")] = None,
    balance: Annotated[bool, typer.Option("--balance", help="As many per label as it lacks to the most frequent one.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other samples.")] = 0,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A draw setting, such as temperature=0.8.")
    ] = None,
    label_gate: Annotated[
        bool, typer.Option("--label-gate/--no-label-gate", help="Refuse draws that look like another label.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workspace: WorkspaceOption = None,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Draw labelled samples; near-copies of real data and other bad draws are refused, and kept with the reason."""
    from curate.steps.generate import generate as step

    with opened(workspace, wait=wait) as ws:
        report = step(
            ws, model, labels=label or (), count=count, balance=balance, seed=seed,
            settings=read_settings(set_, "--set"), label_gate=label_gate, device=device,
        )  # fmt: skip
    show(report, as_json, _describe_generate)


def reproduce(
    sample_ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="Synthetic samples.")] = None,
    all_of: Annotated[str | None, typer.Option("--all", metavar="MODEL", help="Every sample of this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="With --all: at most so many, evenly spread.")] = 100,
    workspace: WorkspaceOption = None,
    wait: WaitOption = READERS_WAIT_S,
    as_json: JsonOption = False,
) -> None:
    """Draw synthetic samples again and compare them with what is stored, bit for bit."""
    from curate.steps.reproduce import reproduce as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        report = step(ws, sample_ids or (), model=all_of, limit=limit)
    show(report, as_json, _describe_reproduce)
    if report.different:
        raise typer.Exit(1)


def models(workspace: WorkspaceOption = None, wait: WaitOption = READERS_WAIT_S, as_json: JsonOption = False) -> None:
    """List the trained models: what they learned from, and what became of their draws."""
    from curate.steps.models import models as step

    with opened(workspace, read_only=True, wait=wait) as ws:
        found = step(ws)
    if as_json:
        print_json(found)
    else:
        say(_describe_models(found))


def _describe_train(report: TrainReport) -> str:
    drawn = f" ({report.synthetic:,} of them synthetic)" if report.synthetic else ""
    loss = f"{report.validation_loss:.4f}" if report.validation_loss is not None else "not measured"
    return lines(
        f"{report.model}: "
        + ("trained before by this very command" if report.already else f"trained in {seconds(report.seconds)}"),
        f"  learned from {report.samples:,} samples of {report.trained_on}{drawn}, {report.labels} labels",
        f"  {report.family} {report.preset}: {report.parameters:,} parameters, {report.steps:,} steps,"
        f" {report.units_per_second:,.0f} {report.unit}/s; stopped: {report.stop_reason}",
        f"  best validation loss: {loss}" + "".join(f"; {k.replace('_', ' ')} {v:.4g}" for k, v in report.metrics.items()),
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate generate {report.model} --count 100",
    )


def _describe_generate(report: GenerateReport) -> str:
    share = f" ({report.accepted / report.drawn:.0%})" if report.drawn else ""
    before = f"; {report.already:,} were drawn before by this command" if report.already else ""
    return lines(
        f"{report.model}: {report.drawn:,} drawn = {report.accepted:,} accepted{share}"
        f" + {sum(report.refused.values()):,} refused"
        f"  ({seconds(report.seconds)}){before}",
        f"  refused: {tally(report.refused)}" if report.refused else None,
        *(f"  gate: {gate}" for gate in report.gates),
        *(f"  note: {note}" for note in report.notes),
        f"  next: curate evaluate {report.model}",
    )


def _describe_reproduce(report: ReproduceReport) -> str:
    return lines(
        f"drew {report.samples:,} samples again: {report.same:,} are the same bit for bit, {len(report.different):,} differ",
        f"  different: {', '.join(map(str, report.different[:20]))}" if report.different else None,
        *(f"  note: {note}" for note in report.notes),
    )


def _describe_models(found: list[ModelFacts]) -> str:
    if not found:
        return "no model is trained yet\n  next: curate train diffusion DATASET/train"
    return "\n".join(
        f"{m.name}: {m.family} on {m.trained_on}"
        + (f", {m.accepted:,} accepted, {m.refused:,} refused" if m.finished else " (interrupted)")
        for m in found
    )
