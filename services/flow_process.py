"""What a process that runs one of the flows is set to before it begins."""

from services.memory import give_back_freed_memory, share_freed_memory
from services.prefect_events import send_events_briefly


def prepare_flow_process() -> None:
    """Let threads share freed memory and give it back, and let a lost Prefect server cost a few seconds at exit."""
    share_freed_memory()
    give_back_freed_memory()
    send_events_briefly()
