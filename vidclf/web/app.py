"""The routes: the page, its pictures, and the same data as JSON and for Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Any

import cv2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from vidclf.rates import Rates, Stats
from vidclf.web.board import BIN, WANTED, Board, Camera, Sighting, encode
from vidclf.web.health import Health, summary
from vidclf.web.metrics import exposition

TICK = 0.03  # seconds between two checks for a new picture
RESEND = 10.0  # seconds after which the same picture is sent again: proxies end silent connections, often after 60 s
# Between two pictures. The next one's header follows a picture at once: Chromium shows a picture only after that.
NEXT = b"\r\n--vidclf-picture\r\nContent-Type: image/jpeg\r\n\r\n"
STREAM = "multipart/x-mixed-replace; boundary=vidclf-picture"
ASSETS = {
    "/": ("page.html", "text/html"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}


class Site:
    """Answers every route from the board and the statistics.

    colour: the colour of a label, '#rrggbb', so that the page's charts match the boxes in its pictures.
    problems: what is wrong now apart from the sources, in words.
    """

    def __init__(
        self,
        board: Board,
        stats: Callable[[], Stats],
        colour: Callable[[str], str],
        problems: Callable[[], list[str]],
    ) -> None:
        self._board, self._rates, self._health = board, Rates(stats), Health(board)
        self._colour, self._problems = colour, problems
        self._assets = {path: files(__package__).joinpath(name).read_bytes() for path, (name, _) in ASSETS.items()}
        self.app = Starlette(
            routes=[
                *(Route(path, self._asset) for path in ASSETS),
                Route("/cameras/{number:int}.mjpg", self._stream),
                Route("/cameras/{number:int}.jpg", self._picture),
                Route("/detections/{number:int}.jpg", self._thumbnail),
                Route("/detections/{number:int}.png", self._crop),
                Route("/api/stats", self._stats),
                Route("/api/detections", self._detections),
                Route("/healthz", self._healthz),
                Route("/metrics", self._metrics),
            ],
            exception_handlers={HTTPException: _error},
        )

    async def _asset(self, request: Request) -> Response:
        path = request.url.path
        return Response(self._assets[path], media_type=ASSETS[path][1])

    def _camera(self, request: Request) -> Camera:
        number = request.path_params["number"]
        if number >= len(self._board.cameras):
            raise HTTPException(404, f"no camera {number}; there are {len(self._board.cameras)}")
        return self._board.cameras[number]

    async def _stream(self, request: Request) -> Response:
        pictures = self._pictures(self._camera(request))
        # Else nginx would read all pictures at once, and keep them for a slow viewer.
        return StreamingResponse(pictures, media_type=STREAM, headers={"X-Accel-Buffering": "no"})

    async def _pictures(self, camera: Camera) -> AsyncIterator[bytes]:
        """Yield the latest picture whenever there is a new one; a slow viewer misses those in between."""
        shown, due = 0, 0.0
        yield NEXT
        while not self._board.closed:
            now = time.monotonic()
            camera.wanted = now + WANTED
            picture = camera.picture
            if picture and (picture.number != shown or now >= due):
                shown, due = picture.number, now + RESEND
                yield picture.jpeg + NEXT
            await asyncio.sleep(TICK)

    async def _picture(self, request: Request) -> Response:
        camera = self._camera(request)
        camera.wanted = time.monotonic() + WANTED
        if not camera.picture:
            raise HTTPException(404, f"{camera.name} has no picture yet")
        return Response(camera.picture.jpeg, media_type="image/jpeg")

    def _sighting(self, request: Request) -> Sighting:
        number = request.path_params["number"]
        sighting = self._board.kept.get(number)
        if sighting is None:
            raise HTTPException(404, f"detection {number} is not among the latest")
        return sighting

    async def _thumbnail(self, request: Request) -> Response:
        data = encode(self._sighting(request).thumbnail, self._board.quality)
        return Response(data, media_type="image/jpeg")

    async def _crop(self, request: Request) -> Response:
        crop = self._sighting(request).crop
        if crop is None:
            raise HTTPException(404, "this pipeline makes no crops")
        return Response(cv2.imencode(".png", crop)[1].tobytes(), media_type="image/png")

    async def _detections(self, request: Request) -> Response:
        return JSONResponse([self._detection(sighting) for sighting in self._board.latest])

    def _detection(self, sighting: Sighting) -> dict[str, Any]:
        name = str(sighting.row["label"] or sighting.row["kind"])
        address = f"/detections/{sighting.number}"
        pictures = {"thumbnail": f"{address}.jpg", "crop": f"{address}.png" if sighting.crop is not None else None}
        return {
            "id": sighting.number,
            **sighting.row,
            "at": sighting.at,
            **pictures,
            "colour": self._colour(name),
        }

    async def _stats(self, request: Request) -> Response:
        stats, now = self._rates.now()
        return JSONResponse(
            {
                **stats,
                "now": {"at": time.time(), **now},
                "cameras": self._health.cameras(stats, now),
                "problems": self._problems(),
                "history": self._history(),
            }
        )

    def _history(self) -> dict[str, Any]:
        history = self._board.history
        labels = sorted({label for count in history for label in count.detections})
        return {
            "seconds": BIN,
            "at": [count.at for count in history],
            "labels": {
                label: {
                    "colour": self._colour(label),
                    "detections": [count.detections.get(label, 0) for count in history],
                    "in_view": [round(count.in_view.get(label, 0.0), 3) for count in history],
                }
                for label in labels
            },
        }

    async def _healthz(self, request: Request) -> Response:
        cameras, problems = self._health.cameras(*self._rates.now()), self._problems()
        status, states = summary(cameras, problems), {camera["name"]: camera["state"] for camera in cameras}
        answer = {"status": status, "sources": states, "problems": problems}
        return JSONResponse(answer, 503 if status == "down" else 200)

    async def _metrics(self, request: Request) -> Response:
        stats, now = self._rates.now()
        body, kind = exposition(stats, self._health.cameras(stats, now))
        return Response(body, headers={"Content-Type": kind})


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
