"""Who decides: names and passwords, or, on a machine of one's own, a name."""

import base64
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio.to_thread
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.exceptions import LoginFailed

from schemas.errors import BadInput
from schemas.review import MAX_NAME_CHARACTERS

#: OWASP password storage cheat sheet: scrypt with 32 MiB
_COST, _BLOCK, _PARALLEL = 2**15, 8, 3
_SCRYPT_BYTES = 128 * _COST * _BLOCK * 2


class ReviewSettings(BaseSettings):
    """Who may decide, from the environment.

    Attributes:
        users: WEIGHBRIDGE_REVIEW_USERS, name:hash pairs with blanks between them; empty: nobody has a password.
        secret: WEIGHBRIDGE_REVIEW_SECRET, what sessions are signed with; None: one of this start's own.
        trusted_proxy: WEIGHBRIDGE_REVIEW_TRUSTED_PROXY, whether only a proxy of ours can reach the page, so that its
            X-Forwarded-Proto is believed.
        prefect_ui_url: PREFECT_UI_URL, where flow runs are shown.
        prefect_api_url: PREFECT_API_URL, which tells it where that is not named.
    """

    model_config = SettingsConfigDict(env_prefix="WEIGHBRIDGE_REVIEW_", populate_by_name=True)

    users: SecretStr = SecretStr("")
    secret: SecretStr | None = None
    trusted_proxy: bool = False
    prefect_ui_url: str | None = Field(default=None, validation_alias="PREFECT_UI_URL")
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")

    @property
    def prefect_ui(self) -> str | None:
        """The address of the Prefect UI, without a slash at its end; None where nothing names one."""
        named = self.prefect_ui_url
        if not named and self.prefect_api_url and self.prefect_api_url.rstrip("/").endswith("/api"):
            named = self.prefect_api_url.rstrip("/").removesuffix("/api")
        if not named or not named.startswith(("http://", "https://")):
            return None
        return named.rstrip("/")

    @property
    def hashes(self) -> dict[str, str]:
        """Each name's password hash.

        Raises:
            BadInput: a pair is not one that `weighbridge review password` made.
        """
        pairs = [pair.rpartition(":") for pair in self.users.get_secret_value().split()]
        for name, _, hashed in pairs:
            if not name or _parts(hashed) is None:
                raise BadInput(
                    "WEIGHBRIDGE_REVIEW_USERS is not a list of name:hash pairs with blanks between them; make each "
                    "with `weighbridge review password NAME`."
                )
        return {name: hashed for name, _, hashed in pairs}

    @property
    def signing_secret(self) -> str:
        """What cookies are signed with.

        Raises:
            BadInput: the secret that was given can be guessed.
        """
        if self.secret is None:
            return secrets.token_urlsafe(32)
        if len(self.secret.get_secret_value()) < 32:
            raise BadInput(
                "WEIGHBRIDGE_REVIEW_SECRET has less than 32 characters; make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`."
            )
        return self.secret.get_secret_value()


def hashed_password(password: str) -> str:
    """A password's salted hash, in a form that needs no quotes in a shell: scrypt.SALT.HASH."""
    salt = secrets.token_bytes(16)
    return f"scrypt.{_text(salt)}.{_text(_scrypt(password, salt))}"


def is_password(password: str, hashed: str) -> bool:
    """Whether the hash was made of this password. Takes about a tenth of a second, on purpose."""
    parts = _parts(hashed)
    return parts is not None and hmac.compare_digest(_scrypt(password, parts[0]), parts[1])


def clean_name(text: str) -> str | None:
    """A name that can stand in `decided_by`, or None."""
    name = " ".join(text.split())
    return name if name and name.isprintable() and len(name) <= MAX_NAME_CHARACTERS else None


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_SCRYPT_BYTES, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _parts(hashed: str) -> tuple[bytes, bytes] | None:
    """Salt and hash, or None when the text is not a hash of ours."""
    kind, _, rest = hashed.partition(".")
    try:
        salt, expected = (base64.urlsafe_b64decode(part + "==") for part in rest.split("."))
    except ValueError:
        return None
    return (salt, expected) if kind == "scrypt" and len(expected) == 32 else None


@dataclass
class Tries:
    """Slows down guessing: a few log-ins in a quarter of an hour, by name and address, by address, by name.

    A try counts from its start, so that many at once do not get around it, and is taken back when it succeeds.

    Attributes:
        clock: seconds that only grow.
    """

    clock: Callable[[], float] = time.monotonic
    _seen: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    WINDOW_SECONDS = 900.0
    _MOST_KEPT = 10_000

    def begin(self, name: str, address: str) -> None:
        """Note a try.

        Raises:
            LoginFailed: there were too many.
        """
        now = self.clock()
        self._forget(now)
        keys = self._keys(name, address)
        if any(len(self._seen.get(key, ())) >= most for key, most in keys.items()):
            raise LoginFailed(
                f"Too many tries. Wait {self.WINDOW_SECONDS / 60:.0f} minutes, then log in again."
            )
        for key in keys:
            self._seen.setdefault(key, deque()).append(now)

    def succeeded(self, name: str, address: str) -> None:
        """Take a try back."""
        for key in self._keys(name, address):
            if times := self._seen.get(key):
                times.pop()

    @staticmethod
    def _keys(name: str, address: str) -> dict[tuple[str, str], int]:
        return {(name, address): 5, ("", address): 20, (name, ""): 100}

    def _forget(self, now: float) -> None:
        for key, times in list(self._seen.items()) if len(self._seen) < self._MOST_KEPT else ():
            while times and now - times[0] > self.WINDOW_SECONDS:
                times.popleft()
            if not times:
                del self._seen[key]
        if len(self._seen) >= self._MOST_KEPT:
            raise LoginFailed("Too many tries. Wait a while, then log in again.")


class ByName(AuthProvider):
    """On a machine of one's own: whoever opens the page says who they are, once."""

    with_password = False

    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> None:  # noqa: ARG002
        name = clean_name(username)
        if name is None:
            raise LoginFailed(f"A name has up to {MAX_NAME_CHARACTERS} printable characters.")
        request.session["name"] = name

    async def authenticate(self, request: Request) -> AdminUser | None:
        name = request.session.get("name")
        return AdminUser(username=name) if name else None

    async def logout(self, request: Request) -> Response | None:
        request.session.clear()
        return None


class ByPassword(ByName):
    """Where others can reach the page: a name and its password.

    Args:
        hashes: each name's password hash.
        tries: what slows down guessing.
    """

    with_password = True

    def __init__(self, hashes: Mapping[str, str], tries: Tries | None = None) -> None:
        super().__init__()
        self._hashes = dict(hashes)
        self._tries = tries or Tries()
        #: an unknown name takes as long as a known one
        self._nobody = hashed_password(secrets.token_urlsafe(16))

    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> None:  # noqa: ARG002
        address = request.client.host if request.client else ""
        name = username[: MAX_NAME_CHARACTERS + 1]
        self._tries.begin(name, address)
        hashed = self._hashes.get(name, self._nobody)
        if not await anyio.to_thread.run_sync(is_password, password, hashed):
            raise LoginFailed("The name or the password is wrong.")
        self._tries.succeeded(name, address)
        request.session.update(name=name, hash=_short(hashed))

    async def authenticate(self, request: Request) -> AdminUser | None:
        """As who is logged in; a name that was taken away, or whose password was changed, is logged out."""
        name = request.session.get("name")
        hashed = self._hashes.get(name) if name else None
        if not name or not hashed or not hmac.compare_digest(request.session.get("hash", ""), _short(hashed)):
            return None
        return AdminUser(username=name)


def _short(hashed: str) -> str:
    """What a session keeps of a hash: enough to see that it was changed, useless for guessing the password."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]
