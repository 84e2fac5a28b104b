"""The Reality Check's protocol with ResNet-50 in the place of BN-Inception.

For those who have no file of BN-Inception's weights, and to see what the network changes. Three things differ from
`reality_check`: the network with torchvision's first ImageNet weights, the side of 224 px that these were trained on,
and the network's learning rate, which is searched a decade on either side of the study's 1e-6 (chosen for another
network; a rate that is fixed favours some methods).
"""

import dataclasses

from protocols import reality_check

PROTOCOL = dataclasses.replace(
    reality_check.PROTOCOL,
    title="A Metric Learning Reality Check, ResNet-50",
    about=(
        "The Reality Check's experiment with ResNet-50 at 224 px: 128 dimensions, RMSprop at a searched rate, batches "
        "of 32; 50 trials of Bayesian optimisation over four class-disjoint folds; the best setting repeated ten "
        "times. Intervals are given one search."
    ),
    backbone="resnet50",
    weights="0676ba61",
    size=224,
    lr_range=(1e-7, 1e-5),
)
