"""Who may read the board, and how: the token first in every path, GET and HEAD only."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# The page's own scripts are inline and its templates compiled; nothing comes from elsewhere.
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'"


class Guard:
    """Lets a request through to ``app`` only where its path begins with the token.

    A page, its scripts, its files and its socket all lie below ``/<token>/``; whatever asks for
    something else gets 403 (also over a socket), and a method that could change anything 405.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves or refuses one request (the ASGI interface)."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif not self._knows(scope["path"]):
            await _refuse(scope, receive, send, 403, "This board needs the token of its URL.\n")
        elif scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            await _refuse(scope, receive, send, 405, "The board only reads.\n")
        else:
            await self.app(scope, receive, _with_headers(send))

    def _knows(self, path: str) -> bool:
        given = path.split("/")[1] if path.startswith("/") else ""
        return secrets.compare_digest(given.encode(errors="replace"), self._token)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    headers = {"Allow": "GET, HEAD"} if status == 405 else {}
    await PlainTextResponse(text, status, headers=headers)(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=_raw(message))
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Content-Security-Policy", _POLICY)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent


def _raw(message: Message) -> dict[str, Any]:
    message["headers"] = list(message.get("headers", []))
    return {"headers": message["headers"]}
