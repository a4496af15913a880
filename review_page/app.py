"""The page's application: the library's admin, our views in it, and the guards around it."""

from pathlib import Path

from sqlalchemy.orm import sessionmaker
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import CustomView
from starlette_admin.contrib.sqla import Admin
from starlette_admin.routing import route

from review_page import wording
from review_page.decision_views import Deciding
from review_page.edit_views import Editing, PruneEdit, Weigh
from review_page.guard import Guard, trust_only_templates
from review_page.list_view import Reviews
from review_page.payload_pictures import Pictures
from review_page.people import ByName, ByPassword, ReviewSettings
from schemas.outcome import ReviewStatus
from schemas.review import APPROVAL_HOLDS, MAX_NAME_CHARACTERS
from services.ledger import Ledger, runs

_HERE = Path(__file__).parent
SESSION_SECONDS = 12 * 3_600


def make_app(
    ledger: Ledger,
    settings: ReviewSettings,
    hosts: list[str],
    weigh: Weigh | None = None,
    prune: PruneEdit | None = None,
) -> Starlette:
    """The review page as an ASGI application.

    Args:
        ledger: the ledger.
        settings: who may decide, and what sessions are signed with.
        hosts: the host names that people's browsers may reach it by; any other is refused (DNS rebinding).
        weigh: counts and prices a changed payload; None: nothing can be edited.
        prune: prunes the conversation of a changed payload; None: that is not offered.
    """
    secret, hashes = settings.signing_secret, settings.hashes
    app = Starlette(middleware=_middleware(settings, hosts, secret))
    admin = Admin(
        # the library only reads: its transactions must not keep the ledger's writers waiting
        sessionmaker(ledger.engine.execution_options(reading=True), expire_on_commit=False),
        title="Weighbridge reviews",
        base_url="/",
        templates_dir=str(_HERE / "templates"),
        static_dir=str(_HERE / "static"),
        index_view=_Start(),
        auth_provider=ByPassword(hashes) if hashes else ByName(),
        secret_key=secret,
        timezone_config=None,
    )
    environment = admin.templates.env
    trust_only_templates(environment)
    environment.globals.update(
        statuses=tuple(ReviewStatus),
        with_password=bool(hashes),
        ledger_url=ledger.url,
        may_edit=weigh is not None,
        simulated=_LedgerKind(ledger).simulated,
        approval_days=APPROVAL_HOLDS.days,
        max_name_characters=MAX_NAME_CHARACTERS,
        prefect_ui=settings.prefect_ui,
    )
    for shown in (
        wording.usd,
        wording.usd_most,
        wording.usd_exact,
        wording.number,
        wording.moment,
        wording.words,
    ):
        environment.filters[shown.__name__] = shown
    environment.filters["consequence"] = wording.consequence
    pages = Reviews(ledger)
    admin.add_view(pages)
    admin.add_view(Deciding(ledger))
    admin.add_view(Pictures(ledger))
    if weigh is not None:
        admin.add_view(Editing(ledger, pages, weigh, prune))
    admin.mount_to(app)
    return app


def _middleware(settings: ReviewSettings, hosts: list[str], secret: str) -> list[Middleware]:
    return [
        Middleware(Guard, trusted_proxy=settings.trusted_proxy),
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(
            SessionMiddleware,
            secret_key=secret,
            session_cookie="weighbridge_review",
            max_age=SESSION_SECONDS,
            same_site="strict",
        ),
    ]


class _LedgerKind:
    """Whether a ledger is of simulated runs: from its first run on it holds one kind only.

    Args:
        ledger: the ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: bool | None = None

    def simulated(self) -> bool:
        if self._known is None and (run := runs.find(self._ledger)) is not None:
            self._known = bool(run.simulated)
        return bool(self._known)


class _Start(CustomView):
    """The first page is the list."""

    path = "/"
    add_to_menu = False

    @route("", name="index")
    async def index(self, request: Request) -> Response:
        return RedirectResponse(request.url_for("admin:list", key="reviews"), 303)
