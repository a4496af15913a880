"""Files as the SDK meets them, and as requests refer to them."""

import anthropic
import httpx2
import pytest

from tests.test_simulator.calls import ended, params, results

PDF = ("papers/report.pdf", b"%PDF-1.4 " + b"x" * 991, "application/pdf")
PLAN = """
[batches]
processing_seconds = 0.05
[[faults]]
endpoint = "files_upload"
kind = "cut_after"
match = "fault=lost"
"""


def referring(file_id, kind="document"):
    block = {"type": kind, "source": {"type": "file", "file_id": file_id}}
    return params(messages=[{"role": "user", "content": [block, {"type": "text", "text": "Sum up"}]}])


@pytest.mark.parametrize("door", ["beta", "stable"])
def test_a_file_is_uploaded_listed_looked_up_and_deleted_and_cannot_be_downloaded(client, door):
    files = client.beta.files if door == "beta" else client.files
    made = files.upload(file=PDF)
    assert (made.filename, made.mime_type, made.size_bytes) == ("report.pdf", "application/pdf", 1_000)
    assert (made.downloadable, made.expires_at) == (False, None)
    assert files.retrieve_metadata(made.id) == made
    assert next(iter(files.list())) == made
    with pytest.raises(anthropic.BadRequestError) as error:
        files.download(made.id)
    assert error.value.error_code == "file_not_downloadable"
    gone = files.delete(made.id)
    assert (gone.id, gone.type) == (made.id, "file_deleted")
    for call in (files.retrieve_metadata, files.download, files.delete):
        with pytest.raises(anthropic.NotFoundError):
            call(made.id)


async def test_the_async_sdk_uploads_too(simulator):
    async with anthropic.AsyncAnthropic(api_key="any", base_url=simulator.base_url, max_retries=0) as client:
        made = await client.beta.files.upload(file=("a.txt", b"hello", "text/plain"))
        assert (await client.beta.files.list(limit=1)).data[0].id == made.id


def test_the_list_comes_in_pages_newest_first_or_for_given_ids(client):
    ids = [client.beta.files.upload(file=(f"{at}.txt", b"x", "text/plain")).id for at in range(5)][::-1]
    assert [file.id for file in client.beta.files.list(limit=2)][:5] == ids
    page = client.beta.files.list(limit=2)
    assert ([file.id for file in page.data], page.next_page is not None) == (ids[:2], True)
    chosen = client.beta.files.list(ids=[ids[3], ids[1], "file_none"])
    assert ([file.id for file in chosen.data], chosen.next_page) == ([ids[1], ids[3]], None)
    assert client.beta.files.list(scope_id="session_1").data == []
    for wrong in ({"limit": 0}, {"page": "page_x"}, {"ids": ids, "limit": 3}):
        with pytest.raises(anthropic.BadRequestError):
            client.beta.files.list(**wrong)


def test_a_file_may_be_named_and_dated_by_its_uploader_only_so_far(client):
    made = client.beta.files.upload(file=("", b"x", "application/pdf"), expires_in_seconds=3_600)
    assert (made.filename, (made.expires_at - made.created_at).total_seconds()) == ("unnamed.pdf", 3_600)
    for lifetime in (3_599, 7_776_001):
        with pytest.raises(anthropic.BadRequestError) as error:
            client.beta.files.upload(file=PDF, expires_in_seconds=lifetime)
        assert error.value.api_message.startswith("expires_in_seconds: ")
    with pytest.raises(anthropic.BadRequestError):
        client.beta.files.upload(file=("a|b.pdf", b"x", "application/pdf"))


def test_an_upload_without_a_file_or_a_form_is_a_400(simulator):
    url, key = f"{simulator.base_url}/v1/files", {"x-api-key": "any"}
    for more in ({"json": {}}, {"files": {"other": b"x"}}, {"content": b"x"}):
        answer = httpx2.post(url, headers=key, **more)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert httpx2.post(url, files={"file": b"x"}).status_code == 401


def test_an_upload_whose_answer_is_lost_is_there(client, simulator):
    with pytest.raises(anthropic.APIConnectionError):
        client.beta.files.upload(file=("lost.pdf", b"x", "application/pdf"), extra_query={"fault": "lost"})
    newest = client.beta.files.list(limit=1).data[0]
    assert (newest.filename, newest.id) == ("lost.pdf", simulator.faults()[-1]["object_id"])


def test_messages_takes_a_file_by_its_id_and_token_counting_refuses_it(client, simulator):
    made = client.beta.files.upload(file=PDF)
    request = referring(made.id)
    billed = len(simulator.billed())
    assert client.messages.create(**request).usage.input_tokens > 1_000
    assert len(simulator.billed()) == billed + 1
    with pytest.raises(anthropic.BadRequestError) as error:
        client.messages.count_tokens(model=request["model"], messages=request["messages"])
    assert "not supported by token counting" in error.value.api_message


def test_a_file_that_is_not_there_or_does_not_fit_its_block_is_refused_and_not_billed(client, simulator):
    made = client.beta.files.upload(file=PDF)
    billed = len(simulator.billed())
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**referring("file_none"))
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**referring(made.id, "image"))
    assert len(simulator.billed()) == billed


def test_requests_inside_of_a_batch_refer_to_files_by_the_same_rules(client):
    made = client.beta.files.upload(file=PDF)
    wanted = {"there": made.id, "not-there": "file_none"}
    requests = [{"custom_id": name, "params": referring(file_id)} for name, file_id in wanted.items()]
    found = results(client, ended(client, client.messages.batches.create(requests=requests)))
    assert found["there"].type == "succeeded"
    assert found["not-there"].error.error.type == "not_found_error"
