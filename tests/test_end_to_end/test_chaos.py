"""A round of each kind of disturbance: nothing lost, paid twice, forgotten or overspent, by the simulator's log."""

import pytest

from bench.chaos.hosts import hosts
from bench.chaos.judgement import FORBIDDEN
from bench.chaos.rounds import Ground, names_to_draw, play_round
from bench.chaos.scenarios import SCENARIOS
from tests.processes import clean_environment

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("end-to-end-chaos"),
]

QUICK = [name for name, scenario in SCENARIOS.items() if not scenario.takes_minutes]
#: any number
SEED = 20_261_126


@pytest.fixture(scope="session")
def ground(tmp_path_factory, prefect_api):
    """What the rounds share: a Prefect server, and the hosts on which commands are forked."""
    folder = tmp_path_factory.mktemp("chaos")
    with hosts(folder, clean_environment(folder, PREFECT_API_URL=prefect_api)) as places:
        yield Ground(folder, prefect_api, places)


@pytest.mark.parametrize("name", QUICK)
def test_whatever_happens_to_a_run_the_witness_and_the_ledger_agree(ground, name):
    if name not in names_to_draw(ground, None):
        pytest.skip("there is no other host: this user may not make a pid namespace")
    found = play_round(ground, SEED + QUICK.index(name), [name])
    assert found.jobs
    assert {what: getattr(found, what) for what in FORBIDDEN} == dict.fromkeys(FORBIDDEN, 0), found.wrong
    assert not found.wrong
