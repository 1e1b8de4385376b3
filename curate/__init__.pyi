"""What `curate/__init__.py` imports lazily, for type checkers and editors; a test keeps the two alike."""

from curate.errors import CurateError as CurateError
from curate.steps.backup import backup as backup
from curate.steps.borderline import borderline as borderline
from curate.steps.calibrate import calibrate as calibrate
from curate.steps.calibrate import reset_threshold as reset_threshold
from curate.steps.check import check as check
from curate.steps.dedupe import dedupe as dedupe
from curate.steps.drop import drop as drop
from curate.steps.duplicates import duplicates as duplicates
from curate.steps.embed import embed as embed
from curate.steps.evaluate import evaluate as evaluate
from curate.steps.explain import explain as explain
from curate.steps.export import export as export
from curate.steps.filter import filter as filter
from curate.steps.generate import generate as generate
from curate.steps.ingest import ingest as ingest
from curate.steps.models import models as models
from curate.steps.open_dataset import open_dataset as open_dataset
from curate.steps.protect import protect as protect
from curate.steps.protect import protections_of as protections_of
from curate.steps.protect import unprotect as unprotect
from curate.steps.remove import remove as remove
from curate.steps.rename import rename as rename
from curate.steps.report import report as report
from curate.steps.reproduce import reproduce as reproduce
from curate.steps.restore import restore as restore
from curate.steps.restore_backup import restore_backup as restore_backup
from curate.steps.rethreshold import rethreshold as rethreshold
from curate.steps.revert import revert as revert
from curate.steps.run import run_recipe as run_recipe
from curate.steps.search import search as search
from curate.steps.split import split as split
from curate.steps.sql import sql as sql
from curate.steps.status import status as status
from curate.steps.take_back import take_back as take_back
from curate.steps.target_size import target_size as target_size
from curate.steps.train import train as train
from curate.workspace import Workspace as Workspace
from curate.workspace import create_workspace as create_workspace
from curate.workspace import find_workspace as find_workspace
from curate.workspace import open_workspace as open_workspace

__version__: str
STEP_HOMES: dict[str, str]
