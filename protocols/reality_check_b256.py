"""The Reality Check's second experiment: batches of 256, which rank methods otherwise than batches of 32.

As `reality_check`, with its fixed learning rate, but for the batch (64 classes of 4 images, 256 classes of one for
classification losses) and the ranges of that experiment's search plots. The study ran it on CUB alone; here its ranges
hold on every dataset.
"""

import dataclasses

from optuna.distributions import BaseDistribution, IntDistribution

from protocols import reality_check
from protocols.reality_check import MARGIN, MARGINS, MS, MS_MINER, SOFT_TRIPLE, linear, log

SPACES: dict[tuple[str, str], dict[str, BaseDistribution]] = {
    ("contrastive", "*"): MARGINS,
    ("triplet", "*"): {"margin": linear(-0.2, 2)},
    ("ntxent", "*"): {"temperature": log(0.01, 100)},
    ("proxy_nca_rc", "*"): {"scale": linear(0.01, 100)},
    ("margin_all", "*"): MARGIN,
    ("margin_class", "*"): MARGIN,
    ("norm_softmax", "*"): {"temperature": log(0.01, 100)},
    ("cosface", "*"): {"margin": linear(0, 1), "scale": linear(0.01, 100)},
    ("arcface", "*"): {"margin": linear(0, 90), "scale": linear(0.01, 100)},
    ("fastap", "*"): {"bins": IntDistribution(2, 250)},
    ("snr_contrastive", "*"): {
        "pos_margin": linear(0, 2),
        "neg_margin": linear(0, 2),
        "weight": linear(0, 1),
    },
    ("ms_all_pairs", "*"): MS,
    ("ms_miner", "*"): {**MS_MINER, "alpha": linear(1e-5, 100)},
    ("soft_triple", "*"): {**SOFT_TRIPLE, "gamma": linear(1e-5, 100)},
}

PROTOCOL = dataclasses.replace(
    reality_check.PROTOCOL,
    title="A Metric Learning Reality Check, batches of 256",
    about=(
        "The Reality Check's experiment with batches of 256: BN-Inception at 227 px, 128 dimensions, RMSprop at 1e-6; "
        "50 trials of Bayesian optimisation over four class-disjoint folds; the best setting repeated ten times. "
        "Intervals are given one search."
    ),
    batch_size=256,
    spaces=SPACES,
)
