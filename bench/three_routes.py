"""The routes of the measurements, as a policy has them."""

THREE_ROUTES = """\
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 1_500
[[routes]]
name = "middle"
model = "claude-sonnet-5-5"
up_to_input_tokens = 8_000
[[routes]]
name = "large"
model = "claude-opus-5-5"
up_to_input_tokens = 200_000
"""
