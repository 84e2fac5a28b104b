"""Addresses as they may be printed and recorded: without the secrets in them."""

from __future__ import annotations

import re


def without_password(text: str) -> str:
    """Text with *** for the passwords of URLs, and for whatever names a user of a web address, which may be a token."""
    text = re.sub(r"(https?://)[^/@\s]+@", r"\1***@", text)
    text = re.sub(r"(://[^:/@\s]*:)\S*@", r"\1***@", text)
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", text)
