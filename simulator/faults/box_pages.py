"""What a middle box answers in place of the API: a page of its own, with no error object of the API.

Cloudflare stands before the API (Anthropic docs, "Errors"): 502 to 504 are usual of any proxy, 520, 522 and 524
are Cloudflare's for an odd answer of the server behind it, for no connection to it, and for none in time.
"""

from http import HTTPStatus

from aiohttp import web

from simulator.plan import Fault

#: titles of statuses that HTTP does not know. Source: Cloudflare docs, "5xx errors".
BOX_TITLES = {
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
    523: "Origin is unreachable",
    524: "A timeout occurred",
    525: "SSL handshake failed",
    530: "Origin DNS error",
}

_HTML = "<!DOCTYPE html>\n<html><head><title>{status} {title}</title></head>\n<body><center><h1>{status} {title}</h1></center><hr><center>simulated proxy</center></body></html>\n"


class BoxPageError(Exception):
    """A middle box answers in place of the API.

    Args:
        fault: states the status and the kind of page.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.kind)
        self.status = fault.status or 502
        self._page = fault.page
        self._retry_after = fault.retry_after

    def response(self) -> web.Response:
        """The page; it has no header of the API, and says that it is simulated."""
        title = BOX_TITLES.get(self.status) or _usual_title(self.status)
        headers = {"server": "simulated-proxy", "weighbridge-simulated": "true"}
        if self._retry_after is not None:
            headers["retry-after"] = str(self._retry_after)
        if self._page == "empty":
            return web.Response(status=self.status, headers=headers)
        if self._page == "json":
            body = f'{{"error": "{title}", "status": {self.status}}}'
            return web.Response(
                text=body, status=self.status, headers=headers, content_type="application/json"
            )
        body = _HTML.format(status=self.status, title=title)
        return web.Response(text=body, status=self.status, headers=headers, content_type="text/html")


def _usual_title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
