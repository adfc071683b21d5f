"""Access control: the token, the Host header, and security headers for browsers.

Without a token only this machine can use the page. Its browsers also run other sites' pages, which must neither embed
ours (Cross-Origin-Resource-Policy) nor reach it under their own name (DNS rebinding: Host).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import time
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SIGN_IN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>vidclf</title>
<h1>vidclf</h1>
<p>Enter the token that vidclf was started with.</p>{note}
<form action="{action}" method="post">
<label>Token <input type="password" name="token" required autofocus></label> <button>Open</button>
</form></html>
"""
WRONG = '\n<p role="alert">Wrong token.</p>'
LONGEST_FORM = 65_536  # bytes of a form that are read
FORM_SECONDS = 10.0  # for which it is read: who sends it has no token yet
GUESS, TELL = 0.5, 60.0  # seconds that a wrong token waits for its answer; seconds between two warnings about them


class Guard:
    """Checks every request to an ASGI application before any route answers.

    token: accepted as `Authorization: Bearer TOKEN`, as `?token=TOKEN`, or as a cookie. Opening the page with `?token=`
    or with the form sets the cookie, so that pictures need no token in their addresses. Without a token, only requests
    to this machine's own names are answered.
    """

    def __init__(self, app: ASGIApp, token: str | None = None) -> None:
        self._app, self._token = app, token
        self._wrong, self._told = 0, -TELL
        # The cookie reveals nothing about the token, which may be used elsewhere, too.
        self._cookie = hmac.new(token.encode(), b"vidclf cookie", hashlib.sha256).hexdigest() if token else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            answer = await self._refuse_or_redirect(Request(scope, receive)) or self._app
            await answer(scope, receive, with_headers)
        except Exception as error:  # starlette has answered; the query may hold the token, so it is not logged
            log.warning("the web page could not answer %a: %s: %s", scope["path"], type(error).__name__, error)

    async def _refuse_or_redirect(self, request: Request) -> Response | None:
        """The answer to a request that must not continue, or not yet; None if it may."""
        if self._token is None:
            host = request.headers.get("host", "")
            if not is_loopback(host_of(host)):
                return PlainTextResponse("this page is only available as 127.0.0.1, localhost or [::1]", 403)
            return None
        given = request.query_params.get("token")
        is_page = request.scope["path"] == "/"
        if is_page and request.method == "POST":  # from the form: a proxy would log a token in the address
            given = await posted(request)
        if given is not None and same(given, self._token):
            return self._let_in(request) if is_page else None
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        cookie = request.cookies.get(cookie_of(request), "")
        if (scheme.lower() == "bearer" and same(bearer, self._token)) or same(cookie, self._cookie):
            return None
        if given is not None or (bearer and scheme.lower() == "bearer"):  # a proxy may have its own `Basic`
            await self._slow_down(request)
        headers = {"WWW-Authenticate": "Bearer"}
        if "text/html" in request.headers.get("accept", ""):
            # Relative, since a proxy may show the page below a path of its own.
            root = "../" * (request.scope["path"].count("/") - 1) or "./"
            form = SIGN_IN.format(note="" if given is None else WRONG, action=root)
            return HTMLResponse(form, HTTPStatus.UNAUTHORIZED, headers)
        message = "a token is required: Authorization: Bearer TOKEN, or ?token=TOKEN"
        return JSONResponse({"error": message}, HTTPStatus.UNAUTHORIZED, headers)

    def _let_in(self, request: Request) -> Response:
        """Redirect to the page with a cookie, so that the token stays out of the browser's history and bookmarks."""
        page = RedirectResponse("./", HTTPStatus.SEE_OTHER)
        secure = has_tls(request)
        page.set_cookie(cookie_of(request), self._cookie, httponly=True, samesite="lax", secure=secure)
        return page

    async def _slow_down(self, request: Request) -> None:
        """Make guesses of the token slow, and tell of them, once a minute at most."""
        self._wrong += 1
        if time.monotonic() > self._told + TELL:
            self._told = time.monotonic()
            who = request.client.host if request.client else "somebody"
            log.warning("wrong tokens for the web page so far: %d, this one from %s", self._wrong, who)
        await asyncio.sleep(GUESS)


async def posted(request: Request) -> str:
    """The token in a submitted form; empty if there is none."""
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_FORM:
                    return ""
    except (TimeoutError, ClientDisconnect):
        return ""
    return parse_qs(body.decode("latin-1")).get("token", [""])[0]


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def has_tls(request: Request) -> bool:
    """Whether the browser speaks TLS with a proxy before us."""
    return request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower() == "https"


def cookie_of(request: Request) -> str:
    """The cookie's name, with the port: browsers share cookies between a host's ports, and two runs may serve pages.

    With TLS it has another one: a page without TLS may not replace a secure cookie, and never sees it.
    """
    return f"{'__Secure-' if has_tls(request) else ''}vidclf_{request.scope['server'][1]}"


def host_of(header: str) -> str:
    """The name in a Host header, without its port; empty if there is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, without asking a name server."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
