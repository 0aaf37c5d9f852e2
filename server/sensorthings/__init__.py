"""OGC SensorThings API 1.1 (18-088) over what is stored: entities as data, options, POST handed on."""

from __future__ import annotations

from http import HTTPStatus

from fastapi.responses import JSONResponse

#: who finds something out of reach should come again after so long (s)
RETRY_AFTER_S = 10


class Fault(Exception):
    """A request that is not answered by data: the status, and why in words."""

    @property
    def status(self) -> HTTPStatus:
        """The status of the answer."""
        return HTTPStatus(self.args[0])

    def told(self) -> JSONResponse:
        """Return the answer in the form that clients of SensorThings expect."""
        body = {"code": self.status.value, "type": "error", "message": self.args[1]}
        again = {"Retry-After": str(RETRY_AFTER_S)} if self.status is HTTPStatus.SERVICE_UNAVAILABLE else {}
        return JSONResponse(body, self.status, again)
