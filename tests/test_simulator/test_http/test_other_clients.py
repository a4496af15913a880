"""Clients of other people at the simulator: Anthropic's TypeScript SDK, and a framework; each where it can be had."""

import json
import os
import shutil
import subprocess

import pytest
from pydantic import BaseModel

from tests.test_simulator.calls import serving

#: the package with its version, so that a new release changes nothing unseen
NODE_SDK = "@anthropic-ai/sdk@1.14.0"

SCRIPT = """
import Anthropic, { toFile } from "@anthropic-ai/sdk";
const client = new Anthropic({ apiKey: "any", baseURL: process.env.BASE_URL, maxRetries: 0 });
const hello = { model: "claude-haiku-5-5", max_tokens: 300, messages: [{ role: "user", content: "Hello" }] };
const schema = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
const forced = { tools: [{ name: "weather", input_schema: schema }], tool_choice: { type: "any" } };
const kinds = [];
const stream = client.messages.stream(hello);
stream.on("streamEvent", (event) => kinds.push(event.type));
const streamed = await stream.finalMessage();
const whole = await client.messages.create(hello);
const tool = await client.messages.stream({ ...hello, ...forced }).finalMessage();
const file = await client.beta.files.upload({ file: await toFile(Buffer.from("hello"), "a.txt", { type: "text/plain" }) });
const files = [];
for await (const each of client.beta.files.list()) files.push(each.id);
const batch = await client.messages.batches.create({ requests: [{ custom_id: "a", params: hello }] });
let ended = batch;
while (ended.processing_status !== "ended") ended = await client.messages.batches.retrieve(batch.id);
const lines = [];
for await (const line of await client.messages.batches.results(batch.id)) lines.push(line.result.type);
let refused = null;
try { await client.messages.create({ ...hello, model: "claude-none" }); } catch (error) { refused = error.status; }
const count = await client.messages.countTokens({ model: hello.model, messages: hello.messages });
console.log(JSON.stringify({
  kinds: [kinds[0], kinds.at(-1)], same: streamed.content.at(-1).text === whole.content.at(-1).text,
  usage: streamed.usage.output_tokens === whole.usage.output_tokens, tool: tool.content.at(-1).input,
  listed: files.includes(file.id), lines, refused, count: count.input_tokens,
}));
"""


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    """A folder with the TypeScript SDK in it."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed, so the TypeScript SDK cannot be tried")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", NODE_SDK]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("the npm registry cannot be reached, so the TypeScript SDK cannot be tried")
    return folder


@pytest.mark.slow
def test_the_typescript_sdk_counts_streams_forces_tools_uploads_and_reads_batches(
    node_folder, tmp_path_factory
):
    (node_folder / "calls.mjs").write_text(SCRIPT)
    with serving(tmp_path_factory, "[batches]\nprocessing_seconds = 0.05\n") as simulator:
        environment = {"PATH": os.environ["PATH"], "BASE_URL": simulator.base_url}
        ran = subprocess.run(
            ["node", "calls.mjs"],
            cwd=node_folder,
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr.decode()
        assert json.loads(ran.stdout) == {
            "kinds": ["message_start", "message_stop"], "same": True, "usage": True,
            "tool": {"place": "simulated"}, "listed": True, "lines": ["succeeded"], "refused": 404, "count": 8,
        }  # fmt: skip
        assert len(simulator.billed()) == 4


async def test_a_framework_runs_with_and_without_streaming_and_gets_the_output_it_asks_for(tmp_path_factory):
    reason = "pydantic-ai is not installed, so no framework can be tried"
    framework = pytest.importorskip("pydantic_ai", reason=reason)
    models = pytest.importorskip("pydantic_ai.models.anthropic", reason=reason)
    providers = pytest.importorskip("pydantic_ai.providers.anthropic", reason=reason)

    class Place(BaseModel):
        name: str
        inhabitants: int

    with serving(tmp_path_factory, "") as simulator:
        provider = providers.AnthropicProvider(api_key="any", base_url=simulator.base_url)
        model = models.AnthropicModel("claude-haiku-5-5", provider=provider)
        plain = framework.Agent(model)
        assert (await plain.run("Hello")).output.startswith("[simulated] ")
        async with plain.run_stream("Hello") as stream:
            assert (await stream.get_output()).startswith("[simulated] ")
        typed = framework.Agent(model, output_type=Place)
        assert (await typed.run("Where?")).output == Place(name="simulated", inhabitants=0)
        async with typed.run_stream("Where?") as stream:
            assert (await stream.get_output()).name == "simulated"
        assert len(simulator.billed()) == 4
