"""Lets the faults of a plan strike calls, and puts each that does on record."""

from asyncio import Transport
from weakref import WeakSet

from aiohttp import web

from simulator.faults.fault_log import FaultLog
from simulator.faults.fault_picker import FaultPicker
from simulator.faults.fault_strikes import strike_before
from simulator.http.api_call import ApiCall
from simulator.plan import EndpointName, Plan
from simulator.plan.planned_faults import FAULTS_BEFORE


class FaultStriker:
    """The faults of one run.

    Args:
        plan: holds the faults.
        log: where those that struck are written.
    """

    def __init__(self, plan: Plan, log: FaultLog) -> None:
        self._picker = FaultPicker(plan)
        self._resets = FaultPicker(plan, on_kept_alive=True)
        self._watches_connections = any(fault.kind == "reset_kept_alive" for fault in plan.faults)
        self._used: WeakSet[Transport] = WeakSet()
        self._log = log

    def strike(self, call: ApiCall, text: bytes, age: float | None = None) -> None:
        """Draw the fault of a call, which is to be accepted otherwise, and let it strike if it does so before.

        Args:
            call: the call; it keeps the fault, whose effect on the answer is still to come.
            text: what faults are matched with.
            age: seconds since what is asked for came to be; None if nothing particular is.

        Raises:
            RefusedError, BoxPageError, Cut: as the fault has it.
        """
        call.fault = self._picker.pick(call.endpoint, text, age)
        if call.fault is not None and call.fault.kind in FAULTS_BEFORE:
            self.record(call, taken=False)
            strike_before(call.fault)

    def record(self, call: ApiCall, *, taken: bool) -> None:
        """Put the fault of a call on record, if there is one; before its answer, or what is left of it, is sent."""
        if call.fault is not None:
            self._log.write(
                call.fault,
                call.endpoint,
                taken=taken,
                billed=call.billed,
                request_id=call.ids[0],
                object_id=call.object_id,
                api_key_id=call.caller.api_key_id,
                workspace_id=call.caller.workspace.billed_as,
            )

    def resets(self, request: web.Request, endpoint: EndpointName | str, request_id: str) -> bool:
        """Whether the connection of a request, which has carried another before, is to be reset."""
        transport = request.transport
        if not self._watches_connections or transport is None:
            return False
        if transport not in self._used:
            self._used.add(transport)
            return False
        fault = self._resets.pick(endpoint, request.path_qs.encode())
        if fault is not None:
            self._log.write(fault, endpoint, taken=False, billed=False, request_id=request_id)
        return fault is not None
