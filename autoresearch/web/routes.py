"""The pages by their addresses. Whatever is asked, nothing is written."""

import time
from collections.abc import Callable, Collection
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from autoresearch import ledger
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, Session
from autoresearch.report.blocks import Heading, Words
from autoresearch.report.curves import Curve
from autoresearch.session.live import LiveTrial
from autoresearch.web import frame, listing, numbers, pages, side
from autoresearch.web.guard import Guard
from autoresearch.web.site import Missing, Site, address, curve

STATIC = {
    "style.css": ("report", "report.css", "text/css"),
    "uplot.css": ("web", "static/uPlot.min.css", "text/css"),
    "uplot.js": ("web", "static/uPlot.iife.min.js", "text/javascript"),
    "pages.js": ("web", "static/pages.js", "text/javascript"),
}
_STAMP = """
    SELECT (SELECT coalesce(max(id), 0) FROM events WHERE session_id = :session) AS events,
           (SELECT count(*) FROM trials WHERE session_id = :session) AS trials,
           (SELECT count(*) FROM trials WHERE session_id = :session AND outcome IS NOT NULL) AS ended
"""


def application(root: Path, hosts: Collection[str]) -> ASGIApp:
    """The pages of a repository, for who asks one of `hosts` (name and port)."""
    views = Pages(Site(root))
    routes = [
        Route("/", views.sessions),
        Route("/compare", views.compare),
        Route("/compare/{a}/{b}", views.compare),
        Route("/compare/{a}/{b}/gains.json", views.gains),
        Route("/s/{tag}", views.session),
        Route("/s/{tag}/experiments", views.experiments),
        Route("/s/{tag}/state.json", views.state),
        Route("/s/{tag}/progress.json", views.progress),
        Route("/s/{tag}/live.json", views.live),
        Route("/s/{tag}/{n:int}", views.experiment),
        Route("/s/{tag}/{n:int}/curves.json", views.curves),
        Route("/static/{name}", static),
    ]
    failures: dict[type[Exception] | int, Callable[..., Response]] = {
        Missing: _missing, UserError: _trouble, HTTPException: _missing,
    }  # fmt: skip
    return Guard(Starlette(routes=routes, exception_handlers=failures), hosts)


class Pages:
    """One method for each address."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def sessions(self, request: Request) -> Response:
        """All of them."""
        with self.site.ledger() as store:
            return HTMLResponse(frame.page("autoresearch", list(pages.sessions(store, time.time())), broad=True))

    def session(self, request: Request) -> Response:
        """The report of one, and what happens now."""
        now = time.time()
        with self.site.ledger() as store:
            session = self._asked(store, request)
            night = self.site.night(store, session, now)
            incumbent = self._incumbent(store, session, night.status["best"])
        running = LiveTrial.read(self.site.runs / session.tag)
        blocks = list(pages.session(night, running, incumbent, now))
        open_ended = night.status["state"] != "ended"
        return HTMLResponse(frame.page(session.tag, blocks, session.tag, address(session.tag), open_ended))

    def experiments(self, request: Request) -> Response:
        """The table, as the address asks for it."""
        with self.site.ledger() as store:
            session = self._asked(store, request)
            rows = ledger.log_rows(store, session)
        blocks = list(pages.experiments(rows, session.tag, listing.Choice.of(request.query_params)))
        return HTMLResponse(frame.page(f"experiments of {session.tag}", blocks, session.tag, broad=True))

    def experiment(self, request: Request) -> Response:
        """One of them, whole."""
        with self.site.ledger() as store:
            session = self._asked(store, request)
            found, trials = self.site.experiment(store, session, request.path_params["n"])
            shown = self._curves(store, session, found.n)
            blocks = [
                pages.neighbours(session.tag, found.n, ledger.newest(store, session) or 0),
                *pages.experiment(self.site, store, session, found, trials, shown),
            ]
        base = address(session.tag, found.n)
        return HTMLResponse(frame.page(f"{session.tag}: experiment {found.n}", blocks, session.tag, base))

    def compare(self, request: Request) -> Response:
        """Two sessions: those of the address, else the two newest."""
        now = time.time()
        with self.site.ledger() as store:
            known = store.sessions()
            tags = [session.tag for session in known]
            a, b = (request.path_params.get(name, default) for name, default in zip("ab", _newest(tags), strict=True))
            blocks = list(side.choose(known, a, b))
            if a in tags and b in tags:
                nights = [self.site.night(store, self.site.session(store, tag), now) for tag in (a, b)]
                blocks += side.blocks(*nights)
        return HTMLResponse(frame.page("side by side", blocks, base=side.to(a, b), broad=True))

    # --- numbers for scripts

    def state(self, request: Request) -> Response:
        """Something that changes whenever there is more to see."""
        with self.site.ledger() as store:
            session = self._asked(store, request)
            counts = store.query(_STAMP, session=session.id)[0]
        return JSONResponse({"stamp": "-".join([ledger.state(session), *map(str, tuple(counts))])})

    def progress(self, request: Request) -> Response:
        """Of the chart of a session."""
        with self.site.ledger() as store:
            session = self._asked(store, request)
            rows, status = ledger.log_rows(store, session), ledger.status(store, session, time.time())
        return JSONResponse(numbers.progress(rows, status["sigma"]))

    def live(self, request: Request) -> Response:
        """Of the trial that runs."""
        with self.site.ledger() as store:
            session = self._asked(store, request)
            status = ledger.status(store, session, time.time())
            incumbent = self._incumbent(store, session, status["best"])
        running = LiveTrial.read(self.site.runs / session.tag) if status["trial"] else None
        found = pages.live_curves(running, incumbent) if running else []
        return JSONResponse(numbers.curves(found, pages.LIVE_ACROSS))

    def curves(self, request: Request) -> Response:
        """Of an experiment's trials."""
        with self.site.ledger() as store:
            found = self._curves(store, self._asked(store, request), request.path_params["n"])
        return JSONResponse(numbers.curves(found, "seconds of training"))

    def gains(self, request: Request) -> Response:
        """Of two sessions."""
        now = time.time()
        with self.site.ledger() as store:
            nights = [self.site.night(store, self.site.session(store, request.path_params[name]), now) for name in "ab"]
        return JSONResponse(numbers.curves([side.course(night) for night in nights], "experiment"))

    # --- what several need

    def _asked(self, store: Ledger, request: Request) -> Session:
        return self.site.session(store, request.path_params["tag"])

    def _curves(self, store: Ledger, session: Session, n: int) -> list[Curve]:
        found, trials = self.site.experiment(store, session, n)
        parent = [] if found.parent is None else self.site.experiment(store, session, found.parent)[1]
        return pages.experiment_curves(trials, parent, found.parent)

    def _incumbent(self, store: Ledger, session: Session, best: int | None) -> Curve | None:
        trials = [] if best is None else self.site.experiment(store, session, best)[1]
        good = [curve(trial, f"experiment {best}, the incumbent") for trial in trials if trial.outcome == "ok"]
        return good[-1] if good else None


def static(request: Request) -> Response:
    """One of our files: no path is ever made from what was asked."""
    if (found := STATIC.get(request.path_params["name"])) is None:
        raise Missing("there is no such file")
    room, name, kind = found
    return Response(resources.files(f"autoresearch.{room}").joinpath(name).read_bytes(), media_type=kind)


def _newest(tags: list[str]) -> tuple[str | None, str | None]:
    return (tags[-1], tags[-2]) if len(tags) > 1 else (None, None)


def _missing(request: Request, error: Exception) -> Response:
    words = str(error) if isinstance(error, Missing) else "there is no such page"
    return HTMLResponse(frame.page("not found", [Heading("Not found", 1), Words([words])]), 404)


def _trouble(request: Request, error: Exception) -> Response:
    return HTMLResponse(frame.page("autoresearch", [Heading("Nothing to show", 1), Words([str(error)])]), 503)
