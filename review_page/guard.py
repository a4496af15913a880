"""What every request and every answer of the page must keep to, whatever a payload contains.

Sources: OWASP cheat sheets on cross-site request forgery (Origin and Fetch Metadata) and on content security policy.
"""

import ipaddress
import secrets
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment
from jinja2.ext import Extension
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: a form of the page: an edited payload is the largest, and the library reads fields of up to a megabyte
MAX_BODY_BYTES = 2_000_000
_SAFE_METHODS = ("GET", "HEAD")
_STATIC = "/static/"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: with that a browser sends "Origin: null" with the page's own forms
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: scripts run only by the nonce of this very answer; styles of the library's elements carry attributes
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'self' 'nonce-{0}'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class Guard:
    """Refuses what another site may have caused, and says in every answer what may run in it.

    Off this machine a browser sends the page's cookies back over TLS only, and on it wherever TLS is used.

    Args:
        app: the application behind it.
        trusted_proxy: whether X-Forwarded-Proto is believed, because only a proxy of ours can reach the page.
    """

    def __init__(self, app: ASGIApp, *, trusted_proxy: bool = False) -> None:
        self._app = app
        self._trusted_proxy = trusted_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        static = scope["path"].startswith(_STATIC)
        secure = _over_tls(scope, trusted_proxy=self._trusted_proxy) or not _on_this_machine(scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY.format(nonce)
                if not static:
                    headers["Cache-Control"] = "no-store"
                if secure:
                    _secure_cookies(message)
            await send(message)

        refusal = None if scope["method"] in _SAFE_METHODS else _refusal(Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            await PlainTextResponse(refusal[1], status_code=refusal[0])(scope, receive, guarded)


def _over_tls(scope: Scope, *, trusted_proxy: bool) -> bool:
    """Whether a browser reached the page over TLS, as far as that is known."""
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "") if trusted_proxy else ""
    return "https" in (scope["scheme"], forwarded.rpartition(",")[2].strip().lower())


def _on_this_machine(scope: Scope) -> bool:
    """Whether a browser reached the page by a name of the loopback interface."""
    try:
        host = urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secure_cookies(message: Message) -> None:
    message["headers"] = [
        (name, value + b"; Secure")
        if name.lower() == b"set-cookie" and b"; secure" not in value.lower()
        else (name, value)
        for name, value in message["headers"]
    ]


def _refusal(headers: Headers) -> tuple[int, str] | None:
    """Why a request that would change something is refused, with its status; None when it is the page's own."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = urlsplit(origin).netloc == headers.get("host") if origin is not None else site == "same-origin"
    if not own or site not in (None, "same-origin"):
        return 403, "This request did not come from the review page itself. Nothing was changed."
    length = headers.get("content-length")
    if length is None or not length.isdecimal():
        return 411, "This request does not say how long it is. Nothing was changed."
    if int(length) > MAX_BODY_BYTES:
        return 413, f"This request is over {MAX_BODY_BYTES:,} bytes. Nothing was changed."
    return None


class NonceForOurScripts(Extension):
    """Gives the scripts that are written in templates the nonce of the answer. What a template is filled with has none."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        for tag in ("script", "style"):
            source = source.replace(f"<{tag}", f'<{tag} nonce="{{{{ request.state.nonce }}}}"')
        return source


def trust_only_templates(environment: Environment) -> None:
    """Make an environment's templates, and nothing else, able to run scripts; and able to show any text there is."""
    environment.add_extension(NonceForOurScripts)
    environment.finalize = shown


def shown(value: Any) -> Any:
    """What a template is filled with, as it can be sent: JSON can hold halves of characters, which UTF-8 cannot."""
    if type(value) is str and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return value
