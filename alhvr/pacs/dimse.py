"""The classic protocol: C-FIND, C-GET and C-STORE. C-GET brings images over the connection that was opened from here,
so that nothing has to listen, as it would for C-MOVE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alhvr.core.errors import Cancelled, UserError
from alhvr.core.files import shown
from alhvr.pacs.messages import SERIES_TAGS, STUDY_TAGS, Image, Query, Sent, kind_of
from alhvr.pacs.server import Server

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom import AE
    from pynetdicom.association import Association

TIMEOUT_S = 30
PENDING, SUCCESS, REFUSED_HERE = (0xFF00, 0xFF01), 0x0000, 0xC000
WANTED = ("CTImageStorage", "EnhancedCTImageStorage", "MRImageStorage", "EnhancedMRImageStorage",
          "LegacyConvertedEnhancedCTImageStorage", "LegacyConvertedEnhancedMRImageStorage",
          "PositronEmissionTomographyImageStorage", "EnhancedPETImageStorage", "NuclearMedicineImageStorage",
          "SecondaryCaptureImageStorage", "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
          "MultiFrameGrayscaleByteSecondaryCaptureImageStorage", "UltrasoundImageStorage",
          "UltrasoundMultiFrameImageStorage", "EnhancedUSVolumeStorage", "XRayAngiographicImageStorage",
          "XRay3DAngiographicImageStorage", "ComputedRadiographyImageStorage",
          "DigitalXRayImageStorageForPresentation", "SegmentationStorage", "LabelMapSegmentationStorage",
          "RTStructureSetStorage", "RTDoseStorage", "ParametricMapStorage", "Comprehensive3DSRStorage",
          "ComprehensiveSRStorage", "EnhancedSRStorage")
"""Kinds of objects that are pulled: images and what lies beside them."""
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
COMPRESSED = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.70",
              "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5")
NATIVE = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
MOST_CONTEXTS = 128


class DimseArchive:
    """See ``messages.Archive``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def find(self, query: Query) -> list[dict[str, Any]]:
        """C-FIND."""
        from pydicom import Dataset
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

        asked = Dataset()
        asked.QueryRetrieveLevel = "SERIES" if query.study else "STUDY"
        tags = SERIES_TAGS if query.study else STUDY_TAGS
        for tag in tags:
            setattr(asked, tag, None)
        for tag, value in query.filters().items():
            setattr(asked, tag, value)
        application = self._application()
        application.add_requested_context(Model)
        found = []
        with self._connected(application) as connection:
            for status, answer in connection.send_c_find(asked, Model):
                self._require_status(status, "to search")
                if status.Status in PENDING and answer is not None:
                    found.append({tag: _plain(answer.get(tag)) for tag in tags})
        return found

    def pull(self, study: str, series: str, take: Callable[[Image], None]) -> None:
        """C-GET."""
        from pydicom import Dataset
        from pynetdicom import build_role, evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Model

        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "SERIES" if series else "STUDY", study
        if series:
            asked.SeriesInstanceUID = series
        arriving, failed = _Arriving(take), 0
        application = self._application()
        application.add_requested_context(Model)
        kinds = _wanted()
        for kind, syntaxes in _contexts(kinds):
            application.add_requested_context(kind, syntaxes)
        roles = [build_role(kind, scp_role=True) for kind in kinds]
        handlers = [(evt.EVT_C_STORE, arriving.store)]
        with self._connected(application, ext_neg=roles, evt_handlers=handlers) as connection:
            for status, _ in connection.send_c_get(asked, Model):
                arriving.raise_fault()
                failed = getattr(status, "NumberOfFailedSuboperations", failed) or 0
                self._require_status(status, "to give the images", warn=True)
        arriving.raise_fault()
        if failed:
            raise UserError(f"{self._server.name} could not give {failed} objects, for example of a kind or a coding "
                            "that is not read here; the others are there.", "Ask its administrator for them.")

    def push(self, files: Iterable[Path]) -> Iterator[Sent]:
        """C-STORE."""
        files = list(files)
        kinds = {path: kind_of(path) for path in files}
        contexts = list(dict.fromkeys(kinds.values()))
        for first in range(0, len(contexts), MOST_CONTEXTS):
            now = contexts[first:first + MOST_CONTEXTS]
            application = self._application()
            for kind, syntax in now:
                application.add_requested_context(kind, syntax)
            with self._connected(application) as connection:
                for path in [path for path in files if kinds[path] in now]:
                    yield self._send(connection, path)

    def _send(self, connection: Association, path: Path) -> Sent:
        try:
            status = connection.send_c_store(path)
        except ValueError:
            return Sent(path, "the archive does not take objects of this kind or coding")
        except (AttributeError, RuntimeError) as error:
            raise UserError(f"{self._server.name} ended the connection while {shown(path.name)} was sent.",
                            "Try again; what was sent before is there.") from error
        if "Status" not in status:
            raise UserError(f"{self._server.name} did not answer to {shown(path.name)}.",
                            "Try again; what was sent before is there.")
        good = status.Status == SUCCESS or status.Status & 0xF000 == 0xB000
        return Sent(path, "" if good else f"the archive refused it (status {status.Status:04X})")

    def _application(self) -> AE:
        from pynetdicom import AE

        application = AE(ae_title=self._server.own_title)
        application.acse_timeout = application.connection_timeout = TIMEOUT_S
        application.dimse_timeout = application.network_timeout = 10 * TIMEOUT_S
        return application

    @contextmanager
    def _connected(self, application: AE, **more: Any) -> Iterator[Association]:
        """An association that is ended; raises UserError where there is none."""
        server = self._server
        identity = self._identity()
        if identity is not None:
            more["ext_neg"] = [*more.get("ext_neg", ()), identity]
        tls = (server.tls(), server.host) if server.encrypted else None
        connection = application.associate(server.host, server.port, ae_title=server.title, tls_args=tls, **more)
        if not connection.is_established:
            if connection.is_rejected:
                raise UserError(f"{server.name} answers, but does not take {server.own_title} as a partner of "
                                f"{server.title}.", "Have this title registered there, or give another by --aet.")
            secured = " with TLS" if server.encrypted else ""
            raise UserError(f"{server.name} cannot be reached{secured}.", "Check address, port, certificates and "
                            "firewall.")
        try:
            yield connection
        except Exception as error:
            connection.abort()
            if isinstance(error, (UserError, Cancelled, OSError, MemoryError)):
                raise
            raise UserError(f"{server.name} sent something that cannot be read ({type(error).__name__}).",
                            "Ask its administrator; what arrived before is there.") from error
        except BaseException:
            connection.abort()
            raise
        else:
            connection.release()

    def _identity(self) -> Any:
        """User and password as the protocol negotiates them; None where there are none."""
        known = self._server.credentials
        if not known.user:
            return None
        from pynetdicom.pdu_primitives import UserIdentityNegotiation

        identity = UserIdentityNegotiation()
        identity.user_identity_type, identity.positive_response_requested = 2, False
        identity.primary_field = known.user.encode()
        identity.secondary_field = known.password.encode()
        return identity

    def _require_status(self, status: Dataset, what: str, *, warn: bool = False) -> None:
        if "Status" not in status:
            raise UserError(f"{self._server.name} ended the connection or did not answer in time.", "Try again.")
        good = status.Status in (SUCCESS, *PENDING) or (warn and status.Status == 0xB000)
        if not good:
            raise UserError(f"{self._server.name} refused {what} (status {status.Status:04X}).",
                            "Look by alhvr pacs find whether it has the study; ask its administrator whether this is "
                            "allowed.")


class _Arriving:
    """Takes the objects that arrive, in the thread of the connection."""

    def __init__(self, take: Callable[[Image], None]) -> None:
        self._take = take
        self._fault: BaseException | None = None

    def store(self, event: Any) -> int:
        """Takes one object; once one could not be taken, no further one is."""
        if self._fault is not None:
            return REFUSED_HERE
        try:
            head = event.dataset
            self._take(Image(str(head.SeriesInstanceUID), str(head.SOPInstanceUID), event.encoded_dataset()))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            self._fault = error
            return REFUSED_HERE
        return SUCCESS

    def raise_fault(self) -> None:
        """Raises what went wrong while an object was taken."""
        if self._fault is not None:
            raise self._fault


def _contexts(kinds: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Kinds with codings, as many as one connection may propose beside the question: compressed ones for images."""
    for kind in kinds:
        yield kind, list(NATIVE)
    for syntax in COMPRESSED:
        for kind in kinds[:(MOST_CONTEXTS - 1 - len(kinds)) // len(COMPRESSED)]:
            yield kind, [syntax]


def _wanted() -> list[str]:
    from pydicom import uid

    return [str(getattr(uid, keyword, LABEL_MAP)) for keyword in WANTED]


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return "\\".join(map(str, value)) if not isinstance(value, str) and hasattr(value, "__iter__") else str(value)
