"""Decides, request by request, which fault of a plan strikes it."""

from simulator.plan import Fault, Plan
from simulator.plan.chances import chance


class FaultPicker:
    """Asks the plan's faults about each request."""

    def __init__(self, plan: Plan) -> None:
        self._seed = plan.seed
        self._faults = tuple(
            (index, fault, fault.match.encode() if fault.match is not None else b"")
            for index, fault in enumerate(plan.faults)
        )
        self._aimed = [0] * len(plan.faults)

    def pick(self, endpoint: str, raw: bytes) -> Fault | None:
        """The fault that strikes a request.

        Args:
            endpoint: one of the plan's endpoint names.
            raw: the request's body bytes; without a body its path.

        Returns:
            the fault, or None.
        """
        for index, fault, match in self._faults:
            if fault.endpoint == endpoint and match in raw and self._strikes(index, fault):
                return fault
        return None

    def _strikes(self, index: int, fault: Fault) -> bool:
        self._aimed[index] += 1
        number = self._aimed[index]
        if fault.first_n is not None and number > fault.first_n:
            return False
        if fault.every_nth is not None and number % fault.every_nth:
            return False
        return fault.probability is None or chance(self._seed, index, number) < fault.probability
