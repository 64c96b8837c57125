"""The tasks of the service. A new task is a file in this folder and a line here (docs/adding.md)."""

from app.tasks.captioning import CAPTIONING
from app.tasks.classification import CLASSIFICATION
from app.tasks.completion import COMPLETION
from app.tasks.embedding import EMBEDDING
from app.tasks.forecasting import FORECASTING
from app.tasks.priming import PRIMING
from app.tasks.sentiment import SENTIMENT
from app.tasks.tagging import TAGGING
from app.tasks.task import Task
from app.tasks.translation import TRANSLATION

TASKS: tuple[Task, ...] = (
    SENTIMENT,
    CAPTIONING,
    TRANSLATION,
    COMPLETION,
    CLASSIFICATION,
    TAGGING,
    FORECASTING,
    EMBEDDING,
    PRIMING,
)
BY_NAME = {task.name: task for task in TASKS}
CHECKS = {task.name: task.check for task in TASKS}
