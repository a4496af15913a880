"""Whether an installation is ready."""

import json

from schemas.checkup import CheckState, Checkup, Diagnosis


def test_a_checkup_is_fine_unless_something_is_off_and_its_json_says_so():
    fine = Checkup(checks=[Diagnosis(name=state, state=state, found="x") for state in ("ok", "not_made")])
    off = Checkup(checks=[*fine.checks, Diagnosis(name="key", state=CheckState.OFF, found="x")])
    assert (fine.ok, off.ok) == (True, False)
    assert json.loads(off.model_dump_json())["checks"][2] == {
        "name": "key",
        "state": "off",
        "found": "x",
        "what_to_do": "",
    }
