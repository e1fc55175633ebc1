"""The doctor: what lies between this machine and an endpoint, looked at step by step.

Law: an examination changes nothing, sends no secret to anyone but the endpoint itself, ends within
its limit whatever the network does, and names a cause only when a step has seen it.
"""

from holdfast.network.examination import LIMIT_S, examine
from holdfast.network.reports import Check, Diagnosis, State
from holdfast.network.subjects import Reached, Subject

__all__ = ["LIMIT_S", "Check", "Diagnosis", "Reached", "State", "Subject", "examine"]
