"""DICOMweb: QIDO-RS to search, WADO-RS to fetch, STOW-RS to store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from alhvr.core.errors import Cancelled, UserError
from alhvr.pacs.messages import SERIES_TAGS, STUDY_TAGS, Image, Query, Sent, kind_of
from alhvr.pacs.server import Server

TIMEOUT_S = (30, 300)
"""To connect, and to wait for an answer."""
PAGE = 100
AS_STORED = (("application/dicom", "*"),)
STATUSES = {401: "asks for other credentials", 403: "does not allow it", 404: "has nothing at this address"}


class WebArchive:
    """See ``messages.Archive``."""

    def __init__(self, server: Server) -> None:
        from dicomweb_client.api import DICOMwebClient

        self._server = server
        token = server.credentials.token
        self._client = DICOMwebClient(server.url, session=_session(server), timeout=TIMEOUT_S,
                                      headers={"Authorization": f"Bearer {token}"} if token else None)
        self._client.set_http_retry_params(retry=False)

    def find(self, query: Query) -> list[dict[str, Any]]:
        """QIDO-RS."""
        tags, filters = (SERIES_TAGS if query.study else STUDY_TAGS), query.filters()
        with self._in_words():
            if query.study:
                study = filters.pop("StudyInstanceUID")
                found = self._client.search_for_series(study, fields=tags, search_filters=filters)
            else:
                found = self._client.search_for_studies(fields=tags, search_filters=filters, limit=PAGE,
                                                        get_remaining=True)
            return [_values(item, tags) for item in found]

    def pull(self, study: str, series: str, take: Callable[[Image], None]) -> None:
        """WADO-RS, as the archive holds the objects."""
        with self._in_words():
            if series:
                found = self._client.iter_series(study, series, media_types=AS_STORED)
            else:
                found = self._client.iter_study(study, media_types=AS_STORED)
            for dataset in found:
                buffer = BytesIO()
                dataset.save_as(buffer, enforce_file_format=True)
                take(Image(str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID), buffer.getvalue()))

    def push(self, files: Iterable[Path]) -> Iterator[Sent]:
        """STOW-RS, one object a request, so that one that is refused costs itself."""
        from pydicom import dcmread

        files = list(files)
        for path in files:
            kind_of(path)
        for path in files:
            with self._in_words():
                answer = self._client.store_instances([dcmread(path)])
            refused = [item for item in answer.get("FailedSOPSequence", ())]
            yield Sent(path, "the archive refused it" if refused else "")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Makes what goes wrong on the way a UserError; nothing of the request is told, which holds credentials."""
        import requests

        name = self._server.name
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise UserError(f"{name} shows no certificate that is trusted.",
                            "Give the right one by --trust.") from error
        except requests.exceptions.TooManyRedirects as error:
            raise UserError(f"{name} points to another address, which is not followed.",
                            "Give the address of the DICOMweb service itself.") from error
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise UserError(f"{name} cannot be reached or does not answer.", "Check address and network.") from error
        except requests.exceptions.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            raise UserError(f"{name} {STATUSES.get(status, 'refused it')} (status {status}).",
                            "Check the address and the credentials.") from error
        except (UserError, Cancelled, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, requests.exceptions.RequestException):
                raise
            raise UserError(f"{name} gave an answer that cannot be read ({type(error).__name__}).",
                            "Is this the address of a DICOMweb service?") from error


def _session(server: Server) -> Any:
    """Trusts what it is told to, follows nobody elsewhere, and takes nothing from the environment."""
    import requests

    session = requests.Session()
    session.trust_env, session.max_redirects = False, 0
    if server.encrypted:
        server.tls()  # a certificate that cannot be read is told before anything is sent
    if server.trusted is not None:
        session.verify = str(server.trusted)
    if server.certificate is not None:
        session.cert = tuple(map(str, server.certificate))
    if server.credentials.user:
        session.auth = (server.credentials.user, server.credentials.password)
    return session


def _values(item: dict[str, Any], tags: Iterable[str]) -> dict[str, str]:
    """Values by tag of DICOM's JSON."""
    from pydicom.datadict import tag_for_keyword

    found = {}
    for tag in tags:
        values = item.get(f"{tag_for_keyword(tag):08X}", {}).get("Value", ())
        found[tag] = "\\".join(str(value) for value in values if not isinstance(value, dict))
    return found
