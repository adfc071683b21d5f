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

from vidclf.web.board import BIN, WANTED, Board, Camera, Sighting, encode
from vidclf.web.books import Books, Stats
from vidclf.web.metrics import exposition

TICK = 0.03  # seconds between two checks for a new picture
RESEND = 10.0  # seconds after which the same picture is sent again: proxies end silent connections, often after 60 s
# Between two pictures. The next one's header follows a picture at once: Chromium shows a picture only after that.
NEXT = b"\r\n--vidclf-picture\r\nContent-Type: image/jpeg\r\n\r\n"
AWAY = ("absent", "reconnecting", "given up", "silent")  # states of a source without frames, as in page.js
SILENT = 10.0  # seconds without a frame after which a connected camera is silent: something in the pipeline hangs
LOADING = 120.0  # the same, before any camera's first frame: networks are loaded and converted
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
    """

    def __init__(self, board: Board, stats: Callable[[], Stats], colour: Callable[[str], str]) -> None:
        self._board, self._books, self._colour = board, Books(stats), colour
        self._since: dict[str, tuple[object, float]] = {}  # each source's connection, and when it was first looked at
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
                Route("/healthz", self._health),
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
        return StreamingResponse(self._pictures(self._camera(request)), media_type=STREAM)

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
            "at": round(sighting.at, 3),
            **pictures,
            "colour": self._colour(name),
        }

    async def _stats(self, request: Request) -> Response:
        books, now = self._books.look()
        return JSONResponse(
            {
                **books,
                "now": {"at": time.time(), **now},
                "cameras": self._cameras(books, now),
                "history": self._history(),
            }
        )

    def _cameras(self, books: Stats, now: dict[str, Any]) -> list[dict[str, Any]]:
        """Every source, including those without a picture yet: its statistics, health, and address of its picture."""
        # A single file has no entry of its own: its statistics are the run's.
        entries = books.get("sources") or ({books["source"]: books["ledger"]} if books["source"] else {})
        numbers = {camera.name: number for number, camera in enumerate(self._board.cameras)}
        rows = []
        for name in {**entries, **numbers}:
            entry, number = entries.get(name, {}), numbers.get(name)
            camera = None if number is None else self._board.cameras[number]
            rows.append(
                {
                    "name": name,
                    "state": self._state(name, entry, camera),
                    "problem": entry.get("problem", ""),
                    "live": entry.get("live", False),
                    "reconnects": entry.get("reconnects", 0),
                    "lag_ms": entry.get("lag_ms"),
                    "fps": now["sources"].get(name, now["fps"]),
                    **{key: entry[key] for key in ("read", "finished", "corrupt", "dropped") if key in entry},
                    "last_frame_s": round(time.monotonic() - camera.seen, 3) if camera else None,
                    "size": list(camera.size) if camera else None,
                    "picture": f"/cameras/{number}.jpg" if camera else None,
                    "stream": f"/cameras/{number}.mjpg" if camera else None,
                }
            )
        return rows

    def _state(self, name: str, entry: Stats, camera: Camera | None) -> str:
        """A source's state; silent if it is connected but no frames of it come out."""
        state, now = entry.get("state", "connected"), time.monotonic()
        connection = state, entry.get("reconnects")
        if self._since.get(name, ("", 0.0))[0] != connection:
            self._since[name] = connection, now
        latest, pause = (camera.seen, camera.pause) if camera else (0.0, 0.0)
        # With a large stride, the next frame may be as far away as the one before.
        patience = max(SILENT, 2 * pause) if self._board.cameras else LOADING
        is_silent = entry.get("live") and now - max(self._since[name][1], latest) > patience
        return "silent" if is_silent and state == "connected" else state

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

    async def _health(self, request: Request) -> Response:
        """ok; degraded if some sources are away or silent; down, with status 503, if all are."""
        books, now = self._books.look()
        states = {camera["name"]: camera["state"] for camera in self._cameras(books, now)}
        away = [name for name, state in states.items() if state in AWAY]
        status = "ok" if not away else "degraded" if len(away) < len(states) else "down"
        return JSONResponse({"status": status, "sources": states}, 503 if status == "down" else 200)

    async def _metrics(self, request: Request) -> Response:
        books, now = self._books.look()
        body, kind = exposition(books, self._cameras(books, now))
        return Response(body, headers={"Content-Type": kind})


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
