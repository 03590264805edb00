"""The page that stands in the place of an encapsulated document."""

from __future__ import annotations

from functools import cache

LINE = b"The document was removed by de-identification."


@cache
def placeholder_pdf() -> bytes:
    """Return a PDF 1.4 of one page with one line on it and no metadata."""
    stream = b"BT /F1 12 Tf 72 720 Td (" + LINE + b") Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    document = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(document)
    count = len(objects) + 1
    document += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return document
