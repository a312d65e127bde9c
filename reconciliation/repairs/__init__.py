"""Repairs: what is done about breaks without a person, where a document proves the fact and the caps allow it.

Every repair posts an ordinary journal with the break's id, or asks the PSP again and lets settlement do the rest. No
repair ever touches a wallet: money that nobody can name waits in suspense. What is above a cap waits for a person.
"""

from reconciliation.repairs.work import Repaired, work_off

__all__ = ["Repaired", "work_off"]
