"""Generated conversations, with all that a cut could break: parallel tools, thinking, images, documents, citations."""

from hypothesis import strategies as st

PICTURE = {
    "type": "image",
    "source": {
        "type": "base64",
        "media_type": "image/png",
        "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    },
}
TOOLS = [{"name": "look_up", "input_schema": {"type": "object"}}]
KINDS = ("text", "text", "image", "document", "search", "tools", "document in a tool")


def text(words):
    return {"type": "text", "text": "word " * words}


def document(number):
    return {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": f"document {number} " + "fact " * 30},
        "title": f"document {number}",
        "citations": {"enabled": True},
    }


def search_result(number):
    return {
        "type": "search_result",
        "source": f"https://x.test/{number}",
        "title": f"result {number}",
        "content": [text(20)],
    }


class Talk:
    """A conversation while it grows; every source knows its place in the request."""

    def __init__(self):
        self.messages = []
        self.documents = self.results = self.calls = 0

    def citation(self, draw):
        """A citation of any source so far, or None when there is none."""
        places = [("char_location", "document_index", n) for n in range(self.documents)]
        places += [("search_result_location", "search_result_index", n) for n in range(self.results)]
        if not places:
            return None
        kind, name, number = draw(st.sampled_from(places))
        # the cited text says which source it is, wherever a cut moves it
        source = "document" if name == "document_index" else "result"
        return {"type": kind, name: number, "cited_text": f"{source} {number}"}

    def source(self, kind):
        if kind == "document":
            self.documents += 1
            return document(self.documents - 1)
        self.results += 1
        return search_result(self.results - 1)

    def user(self, kind, words):
        if kind == "text":
            self.messages.append({"role": "user", "content": "word " * words})
            return
        blocks = {"image": [PICTURE], "document": [], "search": []}.get(kind, [])
        if kind in ("document", "search"):
            blocks = [self.source(kind)]
        self.messages.append({"role": "user", "content": [*blocks, text(words)]})

    def tools(self, number, within=None):
        """Parallel calls, and their results in the next message."""
        ids = [f"call_{self.calls + n}" for n in range(number)]
        self.calls += number
        used = [{"type": "tool_use", "id": one, "name": "look_up", "input": {}} for one in ids]
        results = [
            {
                "type": "tool_result",
                "tool_use_id": one,
                "content": [self.source(within)] if within else "found",
            }
            for one in ids
        ]
        return used, results

    def assistant(self, draw, words, calls=()):
        thinks = draw(st.booleans())
        said = text(words)
        if (cited := self.citation(draw)) and draw(st.booleans()):
            said["citations"] = [cited]
        thought = [{"type": "thinking", "thinking": "hm " * 5, "signature": "c2ln"}] if thinks else []
        self.messages.append({"role": "assistant", "content": [*thought, said, *calls]})


@st.composite
def conversations(draw):
    """A checked Messages request without a model, of 1 to 12 turns."""
    talk = Talk()
    turns = draw(st.integers(1, 12))
    for number in range(turns):
        kind, words = draw(st.sampled_from(KINDS)), draw(st.integers(1, 400))
        talk.user(kind if kind in ("image", "document", "search") else "text", words)
        if kind.endswith(("tools", "tool")):
            used, results = talk.tools(draw(st.integers(1, 3)), "document" if "document" in kind else None)
            talk.assistant(draw, 3, used)
            # what a tool brought may stand before more words of the user, in one message or in two
            more = draw(st.sampled_from(["none", "same", "next"]))
            talk.messages.append({"role": "user", "content": results + ([text(4)] if more == "same" else [])})
            if more == "next":
                talk.messages.append({"role": "user", "content": "and more"})
        if number < turns - 1:
            talk.assistant(draw, draw(st.integers(1, 200)))
    request = {"max_tokens": 100, "messages": talk.messages, "tools": TOOLS}
    if draw(st.booleans()):
        request["system"] = "Be brief."
    return request


def sources(request):
    """The sources of a request by kind, in their order, each by its title."""
    found = {"document": [], "search_result": []}

    def look(content):
        for block in content if isinstance(content, list) else ():
            if block["type"] in found:
                found[block["type"]].append(block["title"])
            elif block["type"] == "tool_result":
                look(block.get("content"))

    for message in request["messages"]:
        look(message["content"])
    return found


def cited(request):
    """What each citation says that it cites, and the title that stands where it points."""
    places = sources(request)
    pairs = []
    for message in request["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            for citation in block.get("citations", ()) if block["type"] == "text" else ():
                if "document_index" in citation:
                    at, titles = citation["document_index"], places["document"]
                else:
                    at, titles = citation["search_result_index"], places["search_result"]
                pairs.append((citation["cited_text"], titles[at] if 0 <= at < len(titles) else None))
    return pairs
