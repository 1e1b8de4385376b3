"""The steps: one verb a file, a public function and the frozen report that it returns.

`HOMES` names each with the module that holds it, so that nothing is imported before it is asked for.
"""

HOMES = {
    "borderline": "curate.steps.borderline",
    "calibrate": "curate.steps.calibrate",
    "check": "curate.steps.check",
    "dedupe": "curate.steps.dedupe",
    "drop": "curate.steps.drop",
    "duplicates": "curate.steps.duplicates",
    "embed": "curate.steps.embed",
    "evaluate": "curate.steps.evaluate",
    "explain": "curate.steps.explain",
    "export": "curate.steps.export",
    "filter": "curate.steps.filter",
    "generate": "curate.steps.generate",
    "ingest": "curate.steps.ingest",
    "models": "curate.steps.models",
    "open_dataset": "curate.steps.open_dataset",
    "remove": "curate.steps.remove",
    "rename": "curate.steps.rename",
    "report": "curate.steps.report",
    "reproduce": "curate.steps.reproduce",
    "reset_threshold": "curate.steps.calibrate",
    "restore": "curate.steps.restore",
    "rethreshold": "curate.steps.rethreshold",
    "run_recipe": "curate.steps.run",
    "search": "curate.steps.search",
    "split": "curate.steps.split",
    "sql": "curate.steps.sql",
    "status": "curate.steps.status",
    "take_back": "curate.steps.take_back",
    "target_size": "curate.steps.target_size",
    "train": "curate.steps.train",
}
