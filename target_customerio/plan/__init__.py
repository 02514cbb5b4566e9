"""A plan: what a run would do, without sending anything or changing a file.

- :mod:`.model` is the plan as a value, and :mod:`.text` what is logged of it.
- :mod:`.dry_run` is how the run of a plan differs from others.
- :mod:`.counts` counts what the run would do; it needs SQLite, for the snapshot.
"""

from target_customerio.plan.model import OperationPlan, Plan, RemovalPlan, StreamPlan

__all__ = ["OperationPlan", "Plan", "RemovalPlan", "StreamPlan"]
