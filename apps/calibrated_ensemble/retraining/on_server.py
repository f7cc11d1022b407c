"""A night in the queue of a running server, so that a GPU is shared with whoever predicts."""

import time
from collections.abc import Mapping
from typing import Any

import requests

from apps.calibrated_ensemble.retraining.options import REQUEST_KEY, RetrainingOptions
from apps.calibrated_ensemble.retraining.webhook import post_summary
from lib.errors import BusyError, InputError, ProductError, UnreachableError

_TRAINER = "/train/ensemble"
_TIMEOUT = 60.0
_ENDED = ("DONE", "ERROR")
_REFUSED = {
    401: "asks for a sign-in; give a token of an administrator as CALIBRATED_ENSEMBLE_TOKEN",
    403: "refuses this account; retraining needs the role of an administrator",
    404: "knows no trainer `ensemble`; give the address of a server of this app",
}


def retrain_on_server(
    url: str, options: RetrainingOptions, *, token: str | None = None, seconds_between: float = 5.0
) -> Mapping[str, Any]:
    """Have a server do a night's work, wait for it, and post what it came to.

    Args:
        url: of the server.
        options: what the night is told; the webhook is called from here.
        token: of a user who may train, where the server asks for a sign-in.
        seconds_between: how often the server is asked how far it is.

    Returns:
        The summary, see `apps.calibrated_ensemble.retraining.summary.Night.to_json`.

    Raises:
        BusyError: a training is in the server's queue.
        UnreachableError: the server does not answer.
        InputError: it refuses the request.
        ProductError: the night failed; the message is the last line of its log.
    """
    with requests.Session() as session:
        if token is not None:
            session.headers["Authorization"] = f"Bearer {token}"
        server = _Server(session, url.rstrip("/"))
        before = server.get("/progress/figures")["nights"]
        server.start({REQUEST_KEY: options.to_request()})
        while (state := server.get("/train/"))["status"] not in _ENDED:
            time.sleep(seconds_between)
        nights = server.get("/progress/figures")["nights"]
        if state["status"] == "ERROR" or not nights or nights[:1] == before[:1]:
            lines = [line.strip() for line in state.get("details") or () if line.strip()]
            raise ProductError(f"{url}: the night failed: {lines[-1] if lines else 'its log is empty'}")
    summary: Mapping[str, Any] = nights[0]
    if options.webhook is not None:
        post_summary(options.webhook, summary)
    return summary


class _Server:
    """A server that answers, or an error that says why not."""

    def __init__(self, session: requests.Session, url: str):
        self._session = session
        self._url = url

    def get(self, path: str) -> Any:
        return self._ask("GET", path).json()

    def start(self, body: Mapping[str, Any]) -> None:
        self._ask("POST", _TRAINER, json=dict(body))

    def _ask(self, method: str, path: str, **body: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self._url + path, timeout=_TIMEOUT, **body)
        except requests.RequestException as error:
            raise UnreachableError(
                f"{self._url}: does not answer ({type(error).__name__}); check that the server runs and the address"
            ) from error
        if answer.status_code == 429:
            raise BusyError(
                f"{self._url}: a training is in its queue already; let it end, and the next trigger goes on"
            )
        if not answer.ok:
            why = _REFUSED.get(answer.status_code, f"answers {answer.status_code}: {answer.text[:300]}")
            raise InputError(f"{self._url}: {why}")
        return answer
