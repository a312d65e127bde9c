"""Paper: a PDF of a heading, facts and one table, page after page, with page numbers.

The same content gives the same bytes: nothing of the time or the machine is in the file. A letter that the font does
not have is shown as a box; text is text, never markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

MAX_ROWS: Final = 5000
_FONT, _BOLD = "Vera", "VeraBd"
_MARGIN: Final = 18 * mm
_GREY: Final = colors.HexColor("#666666")


def _styles() -> dict[str, ParagraphStyle]:
    if _FONT not in pdfmetrics.getRegisteredFontNames():
        for name in (_FONT, _BOLD):
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
    return {
        "title": ParagraphStyle("title", fontName=_BOLD, fontSize=15, leading=20, spaceAfter=4 * mm),
        "text": ParagraphStyle("text", fontName=_FONT, fontSize=8, leading=11),
        "name": ParagraphStyle("name", fontName=_FONT, fontSize=8, leading=11, textColor=_GREY),
        "cell": ParagraphStyle("cell", fontName=_FONT, fontSize=6.5, leading=8.5),
        "head": ParagraphStyle("head", fontName=_BOLD, fontSize=6.5, leading=8.5),
        "right": ParagraphStyle("right", fontName=_FONT, fontSize=6.5, leading=8.5, alignment=2),
    }


def pdf(
    title: str,
    facts: Sequence[tuple[str, str]],
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    widths: Sequence[float],
    right_from: int,
    footer: str = "",
) -> bytes:
    """Return a PDF: facts as name and value, then a table whose columns from `right_from` on are aligned right.

    `widths` are the columns' shares of the page. At most `MAX_ROWS` rows.
    """
    assert len(rows) <= MAX_ROWS, "whoever makes a document limits it"
    styles = _styles()

    def cell(text: str, style: str) -> Paragraph:
        return Paragraph(escape(text), styles[style])

    room = A4[0] - 2 * _MARGIN
    story: list[Any] = [cell(title, "title")]
    shown = Table(
        [[cell(name, "name"), cell(value, "text")] for name, value in facts], colWidths=[room / 4, room * 3 / 4]
    )
    shown.setStyle(TableStyle([("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)]))
    story += [shown, Spacer(1, 6 * mm)]
    body = [[cell(text, "head") for text in head]]
    body += [[cell(text, "cell" if n < right_from else "right") for n, text in enumerate(row)] for row in rows]
    table = LongTable(body, colWidths=[room * width / sum(widths) for width in widths], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 0.6, colors.black),
                ("LINEBELOW", (0, 1), (-1, -1), 0.2, colors.lightgrey),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 1.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
            ]
        )
    )
    story.append(table)

    def foot(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(_FONT, 6.5)
        canvas.setFillColor(_GREY)
        canvas.drawString(_MARGIN, 10 * mm, footer)
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, str(document.page))
        canvas.restoreState()

    out = BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=title, author="", creator="", producer="", invariant=1,
    )  # fmt: skip
    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()
