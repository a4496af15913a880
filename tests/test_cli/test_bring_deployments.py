"""`weighbridge deploy`: what it says it did on a server that is there, and what it refuses."""

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.settings import PREFECT_API_URL, temporary_settings

from services.deployments import deployments_of


def test_without_a_prefect_server_nothing_is_brought(weighbridge):
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        refused = weighbridge("deploy")
    assert refused.code == 2
    assert "No Prefect server is named: set PREFECT_API_URL" in refused.sentence


@pytest.mark.prefect
def test_what_is_missing_is_made_and_what_was_changed_stays_until_a_reset(weighbridge, prefect_api):
    names = ", ".join(spec.name for spec in deployments_of())
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        assert weighbridge("deploy").out == f"Deployments made: {names}.\n"
        assert weighbridge("deploy").out == (
            f"All {len(deployments_of())} deployments are there, as prefect.yaml has them. Nothing was changed.\n"
        )
        change()
        kept = weighbridge("deploy").out.splitlines()
        assert (
            kept[0]
            == "Left as it is: quote: tags is ['mine'] on the server and ['by-hand', 'free', 'weighbridge'] in the file."
        )
        assert kept[1].startswith("With --reset, ")
        assert weighbridge("deploy", "--reset").out == "Deployments reset to prefect.yaml: quote.\n"
        clean_up()


def change():
    """What an operator does in the Prefect UI."""
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name("quote/quote")
        client.update_deployment(found.id, DeploymentUpdate(tags=["mine"]))


def clean_up():
    with get_client(sync_client=True) as client:
        for spec in deployments_of():
            flow = {"nightly": "nightly-batch", "on-demand": "nightly-batch"}.get(spec.name, spec.name)
            client.delete_deployment(client.read_deployment_by_name(f"{flow}/{spec.name}").id)
