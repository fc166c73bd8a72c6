"""What only Optuna's dashboard reads, written in one transaction, however much it is.

Optuna itself takes a transaction for each attribute, six milliseconds in SQLite, and takes no
intermediate values of trials that have ended.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import text

# Both say the same to SQLite (3.24) and to PostgreSQL.
_ATTRIBUTE = text(
    "INSERT INTO study_system_attributes (study_id, key, value_json) "
    "VALUES (:study, :key, :value) "
    "ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json"
)
_STEP = text(
    "INSERT INTO trial_intermediate_values "
    "(trial_id, step, intermediate_value, intermediate_value_type) "
    "VALUES (:trial, :step, :value, 'FINITE') "
    "ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value, "
    "intermediate_value_type = excluded.intermediate_value_type"
)


@dataclass
class Rows:
    """Attributes of the study by key, and finite values of trials by trial id and step."""

    attributes: dict[str, Any] = field(default_factory=dict)
    steps: dict[tuple[int, int], float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.attributes or self.steps)

    def write(self, storage: BaseStorage, study_id: int) -> None:
        """Writes all of it, or nothing; doing so twice is doing so once."""
        database = getattr(storage, "_backend", storage)  # which Optuna wraps in a cache
        if isinstance(database, RDBStorage):
            self._write(database, study_id)
            return
        for key, value in self.attributes.items():  # a study in memory
            storage.set_study_system_attr(study_id, key, value)
        for (trial_id, step), value in self.steps.items():
            if not storage.get_trial(trial_id).state.is_finished():
                storage.set_trial_intermediate_value(trial_id, step, value)

    def _write(self, database: RDBStorage, study_id: int) -> None:
        attributes = [_attribute(study_id, item) for item in self.attributes.items()]
        steps: list[Mapping[str, Any]] = [
            {"trial": trial, "step": step, "value": value}
            for (trial, step), value in self.steps.items()
        ]
        with database.engine.begin() as connection:
            if attributes:
                connection.execute(_ATTRIBUTE, attributes)
            if steps:
                connection.execute(_STEP, steps)


def _attribute(study_id: int, item: tuple[str, Any]) -> dict[str, Any]:
    key, value = item
    return {"study": study_id, "key": key, "value": json.dumps(value)}
