"""A process that runs a flow is set to share memory and to leave a lost Prefect server soon."""

from services import flow_process as module
from services.flow_process import prepare_flow_process


def test_memory_is_shared_and_events_go_out_briefly(monkeypatch):
    done = []
    for name in ("share_freed_memory", "send_events_briefly"):
        monkeypatch.setattr(module, name, lambda name=name: done.append(name))
    prepare_flow_process()
    assert sorted(done) == ["send_events_briefly", "share_freed_memory"]
