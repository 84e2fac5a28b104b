"""A Metric Learning Reality Check (Musgrave, Belongie, Lim, ECCV 2020), to the last number of its code.

Where the paper's text and its code differ the code holds (the crop's 0.16 is a share of the area; BatchNorm keeps its
statistics while scale and shift train). Departures: Optuna's GP sampler stands for Ax's GP with expected improvement;
the ten repetitions do not include the winning trial, which the study's code had as an eleventh; where no trained epoch
validates better than the network before its first step, that network is what is measured (and flagged), while the study
reported its best trained one.
"""

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from harness.protocol import Protocol


def linear(low: float, high: float) -> BaseDistribution:
    return FloatDistribution(low, high)


def log(low: float, high: float) -> BaseDistribution:
    return FloatDistribution(low, high, log=True)


MARGINS = {"pos_margin": linear(-0.2, 2), "neg_margin": linear(-0.2, 2)}
MARGIN = {"margin": linear(-0.2, 2), "beta": linear(-0.2, 2)}
MS = {"alpha": linear(0.01, 100), "beta": linear(0.01, 100), "base": linear(0, 1)}
MS_MINER = {**MS, "epsilon": linear(0, 1)}
SOFT_TRIPLE = {
    "la": linear(0.01, 100),
    "gamma": linear(0.01, 100),
    "tau": linear(0, 1),
    "margin": linear(0, 1),
}

# The final bounds of the published search plots; "*" stands for the datasets not named.
SPACES: dict[tuple[str, str], dict[str, BaseDistribution]] = {
    ("contrastive", "*"): MARGINS,
    ("triplet", "*"): {"margin": linear(-0.2, 2)},
    ("ntxent", "cub"): {"temperature": log(1e-4, 100)},
    ("ntxent", "*"): {"temperature": log(1e-5, 100)},
    ("proxy_nca_rc", "*"): {"scale": linear(0.01, 100)},
    ("margin_all", "*"): MARGIN,
    ("margin_class", "*"): MARGIN,
    ("norm_softmax", "*"): {"temperature": log(0.01, 100)},
    ("cosface", "*"): {"margin": linear(0, 1), "scale": linear(0.01, 200)},
    ("arcface", "sop"): {"margin": linear(0, 90), "scale": linear(0.01, 300)},
    ("arcface", "*"): {"margin": linear(0, 90), "scale": linear(0.01, 200)},
    ("fastap", "sop"): {"bins": IntDistribution(3, 32)},
    ("fastap", "*"): {"bins": IntDistribution(2, 32)},
    ("snr_contrastive", "*"): {
        "pos_margin": linear(0, 2),
        "neg_margin": linear(0, 2),
        "weight": linear(0, 1),
    },
    ("ms_all_pairs", "cub"): {**MS, "alpha": linear(0.001, 100)},
    ("ms_all_pairs", "*"): MS,
    ("ms_miner", "sop"): {**MS_MINER, "beta": linear(0.01, 200)},
    ("ms_miner", "*"): MS_MINER,
    ("soft_triple", "cub"): {**SOFT_TRIPLE, "gamma": linear(1e-4, 100)},
    # On SOP the study used no regulariser: a range of one value.
    ("soft_triple", "sop"): {**SOFT_TRIPLE, "la": linear(0.01, 200), "tau": linear(0, 0)},
    ("soft_triple", "*"): SOFT_TRIPLE,
}

PROTOCOL = Protocol(
    title="A Metric Learning Reality Check (2020)",
    about=(
        "BN-Inception at 227 px, 128 dimensions, RMSprop at 1e-6, batches of 32; 50 trials of Bayesian optimisation "
        "over four class-disjoint folds; the best setting repeated ten times. Intervals are given one search."
    ),
    backbone="bn_inception",
    weights="52deb4733",
    embedding_size=128,
    freeze_batchnorm=True,
    resize=256,
    size=227,
    train_view="crop",
    test_view="centre",
    crop_area=(0.16, 1.0),
    crop_ratio=(0.75, 1.33),
    flip=True,
    batch_size=32,
    images_per_class=4,
    batches="passes",
    optimizer="rmsprop",
    lr=1e-6,
    momentum=0.9,
    weight_decay=1e-4,
    own_lr=5e-3,
    own_lr_range=(1e-6, 1.0),
    own_weight_decay=1e-4,
    epoch_steps=100,
    evaluate_every=2,
    patience=9,
    epochs=1000,
    class_cut="half",
    folds=4,
    fold_rule="contiguous",
    trials=50,
    search="gp",
    grids=("fastap",),
    repetitions=10,
    per_dataset={
        "cars": {"evaluate_every": 5, "patience": 14},
        "sop": {"evaluate_every": 20, "patience": 39},
    },
    spaces=SPACES,
)
