"""Decides, request by request, which fault of a plan strikes it."""

from simulator.plan import Fault, Plan
from simulator.plan.chances import chance
from simulator.plan.planned_faults import FaultPlace


class FaultPicker:
    """Asks the plan's faults about each request.

    Args:
        plan: holds the faults, and the seed that decides their chances.
        on_kept_alive: whether to ask those that reset a kept-alive connection, or all others.
    """

    def __init__(self, plan: Plan, *, on_kept_alive: bool = False) -> None:
        self._seed = plan.seed
        self._faults: dict[str, list[tuple[int, Fault, bytes]]] = {}
        for index, fault in enumerate(plan.faults):
            if (fault.kind == "reset_kept_alive") == on_kept_alive:
                match = fault.match.encode() if fault.match is not None else b""
                self._faults.setdefault(fault.endpoint, []).append((index, fault, match))
        self._aimed = [0] * len(plan.faults)

    def has(self, place: FaultPlace) -> bool:
        """Whether any fault is aimed at a place."""
        return place in self._faults

    def pick(self, place: FaultPlace | str, text: bytes, age: float | None = None) -> Fault | None:
        """The fault that strikes a request.

        Args:
            place: where it strikes.
            text: the request's body bytes; without a body its path.
            age: seconds since what is asked for came to be; None if nothing particular is.

        Returns:
            the fault, or None.
        """
        for index, fault, match in self._faults.get(place, ()):
            if match in text and self._strikes(index, fault, age):
                return fault
        return None

    def _strikes(self, index: int, fault: Fault, age: float | None) -> bool:
        if fault.kind == "not_found_yet" and (age is None or age >= (fault.seconds or 0)):
            return False
        self._aimed[index] += 1
        number = self._aimed[index]
        if fault.first_n is not None and number > fault.first_n:
            return False
        if fault.after_n is not None and number <= fault.after_n:
            return False
        if fault.every_nth is not None and number % fault.every_nth:
            return False
        return fault.probability is None or chance(self._seed, index, number) < fault.probability
