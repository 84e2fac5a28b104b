"""Which losses of ours pytorch-metric-learning has, and how its constructors are told the same values.

Data alone. Braces hold our hyperparameters, `classes` and `embedding_size` of the task, and `memory_size`, the number
of images that a memory holds. A miner is named where the loss needs one to be ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Equivalent:
    """A loss of pytorch-metric-learning in Python's own words.

    loss, miner: expressions. weights: whether the loss learns parameters, which the optimiser must be given.
    differs: a sentence on what is not the same; "" where value and gradient agree (a test holds it).
    cubic: its memory grows with the cube of the batch (every positive pair beside every negative one): at 1,024 images
        of 256 classes more than 24 GB (measured).
    """

    loss: str
    miner: str = ""
    weights: bool = False
    differs: str = ""
    cubic: bool = False


EQUIVALENTS = {
    "arcface": Equivalent(
        "losses.ArcFaceLoss(num_classes={classes}, embedding_size={embedding_size}, margin={margin}, scale={scale})",
        weights=True,
    ),
    "circle": Equivalent("losses.CircleLoss(m={m}, gamma={gamma})"),
    "contrastive": Equivalent("losses.ContrastiveLoss(pos_margin={pos_margin}, neg_margin={neg_margin})"),
    "cosface": Equivalent(
        "losses.CosFaceLoss(num_classes={classes}, embedding_size={embedding_size}, margin={margin}, scale={scale})",
        weights=True,
    ),
    "fastap": Equivalent("losses.FastAPLoss(num_bins={bins})"),
    "histogram": Equivalent("losses.HistogramLoss(n_bins={bins})"),
    "lifted": Equivalent(
        "losses.LiftedStructureLoss(neg_margin={margin}, pos_margin=0.0, "
        "distance=distances.LpDistance(normalize_embeddings=False))",
        cubic=True,
    ),
    "margin_all": Equivalent(
        "losses.MarginLoss(margin={margin}, beta={beta}, learn_beta=True)", weights=True
    ),
    "margin_class": Equivalent(
        "losses.MarginLoss(margin={margin}, beta={beta}, learn_beta=True, num_classes={classes})",
        weights=True,
    ),
    "ms": Equivalent(
        "losses.MultiSimilarityLoss(alpha={alpha}, beta={beta}, base={base})",
        "miners.MultiSimilarityMiner(epsilon=0.1)",
    ),
    "ms_all_pairs": Equivalent("losses.MultiSimilarityLoss(alpha={alpha}, beta={beta}, base={base})"),
    "ms_miner": Equivalent(
        "losses.MultiSimilarityLoss(alpha={alpha}, beta={beta}, base={base})",
        "miners.MultiSimilarityMiner(epsilon={epsilon})",
    ),
    "nca": Equivalent("losses.NCALoss(softmax_scale={alpha})"),
    "norm_softmax": Equivalent(
        "losses.NormalizedSoftmaxLoss(num_classes={classes}, embedding_size={embedding_size}, "
        "temperature={temperature})",
        weights=True,
    ),
    "ntxent": Equivalent("losses.NTXentLoss(temperature={temperature})", cubic=True),
    "proxy_anchor": Equivalent(
        "losses.ProxyAnchorLoss(num_classes={classes}, embedding_size={embedding_size}, margin={delta}, alpha={alpha})",
        weights=True,
    ),
    "proxy_nca_rc": Equivalent(
        "losses.ProxyNCALoss(num_classes={classes}, embedding_size={embedding_size}, softmax_scale={scale})",
        weights=True,
    ),
    "ranked_list": Equivalent(
        "losses.RankedListLoss(margin={m}, Tn={t_n}, alpha={alpha})",
        differs="its weights are normalised with a small constant, which moves the loss by about a ten-thousandth",
    ),
    "snr_contrastive": Equivalent(
        "losses.SignalToNoiseRatioContrastiveLoss(pos_margin={pos_margin}, neg_margin={neg_margin})",
        differs="the term on the embeddings' mean (weight) is not there",
    ),
    "soft_triple": Equivalent(
        "losses.SoftTripleLoss(num_classes={classes}, embedding_size={embedding_size}, la={la}, gamma={gamma}, "
        "margin={margin})",
        weights=True,
        differs="the term that draws a class's centres together (tau) is not there",
    ),
    "supcon": Equivalent("losses.SupConLoss(temperature={temperature})"),
    "triplet": Equivalent("losses.TripletMarginLoss(margin={margin})"),
    "triplet_hard": Equivalent("losses.TripletMarginLoss(margin={margin})", "miners.BatchHardMiner()"),
    "tuplet_margin": Equivalent(
        "losses.TupletMarginLoss(margin={margin}, scale={scale})",
        differs="the intra-pair variance is not there",
        cubic=True,
    ),
    "xbm": Equivalent(
        "losses.CrossBatchMemory(losses.ContrastiveLoss(pos_margin=1.0, neg_margin={margin}, "
        "distance=distances.CosineSimilarity()), embedding_size={embedding_size}, memory_size={memory_size})",
        differs="pairs of a kind are averaged there and summed here, the memory starts at once and weighs 1",
    ),
}
