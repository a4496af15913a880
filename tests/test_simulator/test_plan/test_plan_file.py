"""A plan that does not fit says where and why."""

import pytest

from simulator.plan import PlanError, read_plan


def fault(kind, match, endpoint="messages", more=""):
    return f'[[faults]]\nendpoint = "{endpoint}"\nkind = "{kind}"\nmatch = "{match}"\nfirst_n = 1\n{more}\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed = ", "plan.toml"),
        ("sead = 1", "sead"),
        ("[limits]\nmessages_per_minute = 0", "limits.messages_per_minute"),
        (fault("status", "x"), "needs `status`"),
        (fault("hang", "x"), "needs `seconds`"),
        (fault("explode", "x"), "faults.0.kind"),
        (fault("status", "x", more="status = 418"), "status 418"),
        ('[[faults]]\nendpoint = "models"\nkind = "cut_before"', "say when"),
    ],
)
def test_a_plan_that_does_not_fit_says_where(tmp_path, text, reason):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=reason):
        read_plan(path)
    with pytest.raises(PlanError):
        read_plan(tmp_path / "none.toml")
