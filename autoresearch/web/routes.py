"""Routes of the served pages, which only read."""

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
from autoresearch.files import JsonObject
from autoresearch.ledger import Ledger, Session
from autoresearch.report.blocks import Curve, Heading, Paragraph
from autoresearch.report.experiment import curve, curves
from autoresearch.session.live import LiveTrial
from autoresearch.web import downloads, frame, numbers, overlay, pages, side
from autoresearch.web.guard import Guard
from autoresearch.web.listing import Choice
from autoresearch.web.site import Missing, Site, address

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


def application(root: Path, hosts: Collection[str], token: str) -> ASGIApp:
    """Return the pages of a repository, for requests to one of `hosts` (name and port) with the token."""
    views = Pages(Site(root))
    routes = [
        Route("/", views.sessions),
        Route("/compare", views.compare),
        Route("/compare/{a}/{b}", views.compare),
        Route("/compare/{a}/{b}/gains.{form}", views.gains),
        Route("/s/{tag}", views.session),
        Route("/s/{tag}/experiments", views.experiments),
        Route("/s/{tag}/experiments.csv", views.experiments_csv),
        Route("/s/{tag}/curves", views.overlay),
        Route("/s/{tag}/curves/{trials}", views.overlay),
        Route("/s/{tag}/curves/{trials}/curves.{form}", views.overlay_curves),
        Route("/s/{tag}/state.json", views.state),
        Route("/s/{tag}/progress.json", views.progress),
        Route("/s/{tag}/live.json", views.live),
        Route("/s/{tag}/{n:int}", views.experiment),
        Route("/s/{tag}/{n:int}/curves.{form}", views.curves),
        Route("/static/{name}", static),
    ]
    failures: dict[type[Exception] | int, Callable[..., Response]] = {
        Missing: _not_found, UserError: _unavailable, HTTPException: _not_found,
    }  # fmt: skip
    return Guard(Starlette(routes=routes, exception_handlers=failures), hosts, token)


class Pages:
    """One method for each route."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def sessions(self, request: Request) -> Response:
        with self.site.ledger() as store:
            return HTMLResponse(frame.page("autoresearch", list(pages.sessions(store, time.time())), broad=True))

    def session(self, request: Request) -> Response:
        """Return the report of a session, and what runs now."""
        now = time.time()
        with self.site.ledger() as store:
            session = self._session(store, request)
            summary = self.site.summary(store, session, now)
            incumbent = self._incumbent(store, session, summary.status.best)
        running = LiveTrial.read(self.site.runs / session.tag)
        blocks, live = list(pages.session(summary, running, incumbent, now)), summary.status.state != "ended"
        return HTMLResponse(frame.page(session.tag, blocks, session.tag, address(session.tag), live))

    def experiments(self, request: Request) -> Response:
        with self.site.ledger() as store:
            session = self._session(store, request)
            rows = ledger.experiment_rows(store, session)
        blocks = list(pages.experiments(rows, session.tag, Choice.of(request.query_params)))
        return HTMLResponse(frame.page(f"experiments of {session.tag}", blocks, session.tag, broad=True))

    def experiment(self, request: Request) -> Response:
        with self.site.ledger() as store:
            session = self._session(store, request)
            details = self.site.experiment(store, session, request.path_params["n"])
            last = ledger.newest(store, session) or 0
        blocks, base = list(pages.experiment(session.tag, details, last)), address(session.tag, details.n)
        return HTMLResponse(frame.page(f"{session.tag}: experiment {details.n}", blocks, session.tag, base))

    def overlay(self, request: Request) -> Response:
        """Return the curves of the trials of the address, else of the base and the incumbent."""
        with self.site.ledger() as store:
            session = self._session(store, request)
            rows, trials = ledger.experiment_rows(store, session), overlay.trials_with_curve(store, session)
            choice = _choice(request)
            if choice is None:
                best = ledger.status(store, session, time.time()).best
                shown = dict.fromkeys(n for n in (0, best) if n in trials)
                choice = overlay.TrialChoice(session.tag, tuple(trials[n][0][0] for n in shown if n is not None))
            blocks = list(overlay.layout(rows, trials, overlay.read(store, session, choice), choice))
        return HTMLResponse(frame.page(f"curves of {session.tag}", blocks, session.tag, choice.address))

    def compare(self, request: Request) -> Response:
        """Return the comparison of the two sessions of the address, else of the two newest."""
        now = time.time()
        with self.site.ledger() as store:
            known = store.sessions()
            tags = [session.tag for session in known]
            newest = tags[:-3:-1] if len(tags) > 1 else (None, None)
            a, b = (request.path_params.get(name, tag) for name, tag in zip("ab", newest, strict=True))
            blocks = list(side.choose(known, a, b))
            if a != b and a in tags and b in tags:
                blocks += side.layout(*(self.site.summary(store, self.site.session(store, tag), now) for tag in (a, b)))
        return HTMLResponse(frame.page("side by side", blocks, base=side.to(a, b), broad=True))

    # --- data for scripts

    def state(self, request: Request) -> Response:
        """Return a value that changes with the content of the page."""
        with self.site.ledger() as store:
            session = self._session(store, request)
            counts = store.query(_STAMP, session=session.id)[0]
        return JSONResponse({"stamp": "-".join([ledger.state(session), *map(str, tuple(counts))])})

    def progress(self, request: Request) -> Response:
        with self.site.ledger() as store:
            session = self._session(store, request)
            rows, status = ledger.experiment_rows(store, session), ledger.status(store, session, time.time())
        return JSONResponse(numbers.progress(rows, status.sigma))

    def experiments_csv(self, request: Request) -> Response:
        with self.site.ledger() as store:
            session = self._session(store, request)
            rows = ledger.experiment_rows(store, session)
        return _download(downloads.experiments(rows), session.tag, "experiments")

    def live(self, request: Request) -> Response:
        """Return the curves of the running trial."""
        with self.site.ledger() as store:
            session = self._session(store, request)
            status = ledger.status(store, session, time.time())
            incumbent = self._incumbent(store, session, status.best)
        running = LiveTrial.read(self.site.runs / session.tag) if status.trial else None
        shown = pages.live_curves(running, incumbent) if running else []
        return JSONResponse(numbers.curves(shown, pages.LIVE_ACROSS))

    def curves(self, request: Request) -> Response:
        tag, n = request.path_params["tag"], request.path_params["n"]
        with self.site.ledger() as store:
            details = self.site.experiment(store, self._session(store, request), n)
        return _data(request, numbers.curves(curves(details), overlay.ACROSS), tag, n, "curves")

    def overlay_curves(self, request: Request) -> Response:
        with self.site.ledger() as store:
            session = self._session(store, request)
            found = overlay.read(store, session, overlay.TrialChoice.of(session.tag, request.path_params["trials"]))
        return _data(request, numbers.curves(found, overlay.ACROSS), session.tag, "curves")

    def gains(self, request: Request) -> Response:
        """Return the running best of two sessions."""
        now, tags = time.time(), (request.path_params["a"], request.path_params["b"])
        with self.site.ledger() as store:
            summaries = [self.site.summary(store, self.site.session(store, tag), now) for tag in tags]
        found = numbers.curves([side.course(each) for each in summaries], "experiment")
        return _data(request, found, *tags, "gains")

    # --- helpers

    def _session(self, store: Ledger, request: Request) -> Session:
        return self.site.session(store, request.path_params["tag"])

    def _incumbent(self, store: Ledger, session: Session, best: int | None) -> Curve | None:
        trials = [] if best is None else self.site.experiment(store, session, best).good_trials
        return curve(trials[-1], f"experiment {best}, the incumbent") if trials else None


def static(request: Request) -> Response:
    """Return one of our files; no path is ever made from a request."""
    if (entry := STATIC.get(request.path_params["name"])) is None:
        raise Missing("there is no such file")
    room, name, kind = entry
    return Response(resources.files(f"autoresearch.{room}").joinpath(name).read_bytes(), media_type=kind)


def _choice(request: Request) -> overlay.TrialChoice | None:
    trials = request.path_params.get("trials")
    return None if trials is None else overlay.TrialChoice.of(request.path_params["tag"], trials)


def _data(request: Request, found: JsonObject, *name: object) -> Response:
    """Return the numbers of a chart in the form of the address. Raises Missing for an unknown form."""
    match request.path_params["form"]:
        case "json":
            return JSONResponse(found)
        case "csv":
            return _download(downloads.chart(found), *name)
    raise Missing("there is no such page")


def _download(text: str, *name: object) -> Response:
    """Return CSV that a browser saves as a file."""
    headers = {"content-disposition": f'attachment; filename="{downloads.file_name(*name)}"'}
    return Response(text, media_type="text/csv", headers=headers)


def _not_found(request: Request, error: Exception) -> Response:
    words = str(error) if isinstance(error, Missing) else "there is no such page"
    return HTMLResponse(frame.page("not found", [Heading("Not found", 1), Paragraph([words])]), 404)


def _unavailable(request: Request, error: Exception) -> Response:
    return HTMLResponse(frame.page("autoresearch", [Heading("Not available", 1), Paragraph([str(error)])]), 503)
