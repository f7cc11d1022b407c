"""Telling another system what a night came to."""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

logger = logging.getLogger(__name__)

_SECONDS = 10.0
_RETRIES = Retry(total=3, backoff_factor=1.0, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=("POST",))


def post_summary(url: str, summary: Mapping[str, Any], *, retries: Retry = _RETRIES) -> bool:
    """Post a summary as JSON, with a few tries; a failure is told in the log and is no failure of the night.

    Args:
        url: http or https.
        summary: JSON value.
        retries: how often and when it is tried again.

    Returns:
        Whether it arrived.
    """
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))
        try:
            # A redirect could carry the summary to another host.
            answer = session.post(url, json=dict(summary), timeout=_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            return _refused(url, type(error).__name__)
    return answer.status_code < 300 or _refused(url, f"status {answer.status_code}")


def _refused(url: str, reason: str) -> bool:
    # A path or a query may hold a secret.
    logger.warning("The webhook at %s took no summary (%s)", urlsplit(url).hostname, reason)
    return False
