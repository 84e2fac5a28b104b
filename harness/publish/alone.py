"""A page of the site as one file that can be looked at away from the site: in MLflow, in a mail."""

from __future__ import annotations

import base64
import re
from pathlib import Path

#: What the page loads from the site: its style, its scripts, and pictures named in a style.
STYLE = re.compile(r'<link rel="stylesheet" href="([^":]+)">')
SCRIPT = re.compile(r'<script src="([^":]+)"></script>')
PICTURE = re.compile(r'url\("([^":]+)"\)')
#: Links to other pages of the site, which lead nowhere from elsewhere; their words stay.
LINK = re.compile(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>')
POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=)"[^"]*"')
#: Everything is inside now, so nothing at all may be fetched.
INSIDE = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def alone(page: Path) -> str:
    """The drawn page with all that it loads inside it, and without links to other pages of the site."""
    text = page.read_text(encoding="utf-8")

    def inside(name: str) -> Path:
        return page.parent / name

    def script(found: re.Match[str]) -> str:
        # The mark of an end, within a script, would end it too soon.
        words = inside(found[1]).read_text(encoding="utf-8").replace("</script", "<\\/script")
        return f"<script>{words}</script>"

    text = STYLE.sub(lambda found: f"<style>{inside(found[1]).read_text(encoding='utf-8')}</style>", text)
    text = PICTURE.sub(lambda found: f'url("{data_url(inside(found[1]))}")', text)
    text = SCRIPT.sub(script, text)
    text = LINK.sub(r"\1", text)
    return POLICY.sub(rf'\1"{INSIDE}"', text)


def data_url(picture: Path) -> str:
    """A picture, PNG or JPEG, as an address that holds it."""
    kind = "jpeg" if picture.suffix == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode('ascii')}"
