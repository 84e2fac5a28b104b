"""Seeds made from names: what a number may depend on is said where the seed is made, and nothing else matters."""

import hashlib


def seed_of(*names: object) -> int:
    """A seed in [0, 2**63) from the names of what the numbers drawn with it may depend on.

    The order of runs, other methods and other machines change nothing: the same names give the same seed.
    """
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
