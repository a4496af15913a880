"""Yards in which the real processes run, and which of the tests here are quick.

A test here takes as long as the processes that it starts. Of each door one stands in `make test`, and of each promise that
no test without processes proves; the others are marked slow, and `.ci/run` runs them as well.
"""

from pathlib import Path

import pytest

from tests.commands import warm_server
from tests.processes import ONE_CERTIFICATE, clean_environment
from tests.yards import open_yard

HERE = Path(__file__).parent
#: the tests that `make test` runs, by file; all of a file where it names none, none of a file that is not here
QUICK: dict[str, tuple[str, ...]] = {
    "test_a_night.py": ("three_nights",),
    "test_audit_tools.py": ("each_set_is_weighed",),
    "test_batches.py": ("a_night_in_batches", "canceling_an_unknown_run"),
    "test_blocks_of_the_docs.py": ("a_block_says", "what_is_not_run"),
    "test_commands.py": ("shows_a_task_run", "simulate_serves"),
    "test_deadline.py": ("is_refused_without",),
    "test_earlier_version.py": (),
    "test_every_payload.py": (),
    "test_exit_codes.py": ("what_cannot_start", "wrong_options"),
    "test_faults.py": ("faults_are_retried",),
    "test_interruptions.py": ("after_a_kill_in_the_middle",),
    "test_pruning.py": ("days_are_whole", "limits_that_make_no_sense"),
    "test_quote.py": ("a_quote_spends_nothing",),
    "test_review_page.py": ("from_the_first_look", "are_refused"),
    "test_reviews.py": ("what_waits_is_drained",),
    "test_shown_report.py": (),
    "test_worker_processes.py": ("two_workers_bring",),
    "test_your_data.py": ("a_csv_file",),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what is not quick as slow."""
    for item in items:
        if item.path.is_relative_to(HERE):
            parts = QUICK.get(item.path.name)
            if parts is None or (parts and not any(part in item.name for part in parts)):
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def warm(tmp_path_factory, prefect_api):
    """The socket of a server that forks this session's commands, all of which use its Prefect server."""
    home = tmp_path_factory.mktemp("warm")
    with warm_server(
        "weighbridge", home, clean_environment(home, PREFECT_API_URL=prefect_api, **ONE_CERTIFICATE)
    ) as address:
        yield address


@pytest.fixture
def yard(tmp_path, prefect_api, warm):
    """A yard whose runs use the session's Prefect server, and whose commands are forked."""
    return open_yard(tmp_path, prefect_api, warm)


@pytest.fixture
def cold_yard(tmp_path):
    """A yard on a machine where Prefect has never run: each run starts its own server."""
    return open_yard(tmp_path)
