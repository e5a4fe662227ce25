"""How a source is captured: the choices that every renderer understands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CaptureOptions:
    """Choices for capture.

    Args:
        ocr: read pages that have no text of their own with tesseract, where it is installed.
        ocr_language: tesseract's language codes, joined by ``+``.
        timeout: seconds a source may keep its reader waiting before it is given up; every page delivered adds one second.
        max_pages: pages after which a source is cut off.
        private_hosts: let web capture reach loopback, private and link-local addresses.
        download: bytes that a web address may serve where it serves a file.
        memory: bytes of address space a renderer may take, 0 for no limit; not applied to the browser and LibreOffice.
    """

    ocr: bool = False
    ocr_language: str = "eng"
    timeout: float = 60.0
    max_pages: int = 20_000
    private_hosts: bool = True
    download: int = 512 << 20
    memory: int = 4 << 30
