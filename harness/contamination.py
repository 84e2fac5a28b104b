"""What weights were trained on, and whether that may hold the images or classes they are tested on."""

from __future__ import annotations

NOTHING, IMAGENET = "nothing", "ImageNet-1k"


def contamination(trained_on: str) -> str:
    """What stands beside results of weights that may have seen test images; "" when they cannot have."""
    if trained_on == NOTHING:
        return ""
    if not trained_on:
        return "nobody said what the weights were trained on: they may have seen any test image"
    if trained_on.startswith("ImageNet"):  # its larger forms hold the small one
        return f"{trained_on} holds some of CUB's photographs (CUB's authors warn of it), and birds, cars and products"
    return f"{trained_on}: may hold any test image"


def may_hold_test_classes(trained_on: str) -> bool:
    """Whether results of such weights are kept out of ranks: what was learned from may be what is tested.

    ImageNet-1k, which the field's comparisons all start from, is the exception: `contamination` stands beside them.
    """
    return trained_on not in (NOTHING, IMAGENET)
