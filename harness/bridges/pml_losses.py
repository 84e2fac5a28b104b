"""What is known of the losses of pytorch-metric-learning 2.9 that fit: papers, ranges, authors' values. Data alone; the
keywords are those of the library's constructors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from harness.method import Paper


@dataclass(frozen=True)
class Known:
    """A loss that fits the contract.

    space, published: ranges of the search, and the values of trial 0; what is not named keeps the library's default.
    own_rate: rate of what the loss learns, as a multiple of the network's; None where it learns nothing.
    caveat: what stands beside its rows; "" when nothing.
    """

    kind: str
    paper: Paper
    space: Mapping[str, BaseDistribution] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    own_rate: float | None = None
    caveat: str = ""


def _log(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high, log=True)


def _linear(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high)


def _arxiv(authors: str, title: str, venue: str, year: int, number: str) -> Paper:
    return Paper(authors, title, venue, year, f"https://arxiv.org/abs/{number}")


_LIFTED = _arxiv(
    "Oh Song, Xiang, Jegelka, Savarese",
    "Deep Metric Learning via Lifted Structured Feature Embedding",
    "CVPR", 2016, "1511.06452",
)  # fmt: skip
_ARCFACE = "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"

#: Rates of what is learnt are those of the same losses in `methods/`; others take ArcFace's.
LOSSES: Mapping[str, Known] = {
    "AngularLoss": Known(
        "triplet",
        _arxiv("Wang, Zhou, Wen, Liu, Lin", "Deep Metric Learning with Angular Loss", "ICCV", 2017, "1708.01682"),
        {"alpha": _linear(30, 60)}, {"alpha": 45.0},
    ),
    "ArcFaceLoss": Known(
        "classification",
        _arxiv("Deng, Guo, Xue, Zafeiriou", _ARCFACE, "CVPR", 2019, "1801.07698"),
        {"margin": _linear(0, 60), "scale": _log(4, 200)}, {"margin": 28.6, "scale": 64.0}, own_rate=50.0,
    ),
    "CircleLoss": Known(
        "pair",
        _arxiv(
            "Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei",
            "Circle Loss: A Unified Perspective of Pair Similarity Optimization", "CVPR", 2020, "2002.10857",
        ),
        {"m": _linear(0.05, 0.6), "gamma": _log(16, 512)}, {"m": 0.4, "gamma": 80.0},
    ),
    "ContrastiveLoss": Known(
        "pair",
        Paper(
            "Hadsell, Chopra, LeCun", "Dimensionality Reduction by Learning an Invariant Mapping", "CVPR", 2006,
            "https://doi.org/10.1109/CVPR.2006.100",
        ),
        {"pos_margin": _linear(0, 0.8), "neg_margin": _linear(0.2, 1.4)}, {"pos_margin": 0.0, "neg_margin": 1.0},
    ),
    "CosFaceLoss": Known(
        "classification",
        _arxiv(
            "Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu",
            "CosFace: Large Margin Cosine Loss for Deep Face Recognition", "CVPR", 2018, "1801.09414",
        ),
        {"margin": _linear(0, 1), "scale": _log(1, 200)}, {"margin": 0.35, "scale": 64.0}, own_rate=10.0,
    ),
    "DynamicSoftMarginLoss": Known(
        "triplet",
        Paper(
            "Zhang, Rusinkiewicz", "Learning Local Descriptors With a CDF-Based Dynamic Soft Margin", "ICCV", 2019,
            "https://openaccess.thecvf.com/content_ICCV_2019/html/"
            "Zhang_Learning_Local_Descriptors_With_a_CDF-Based_Dynamic_Soft_Margin_ICCV_2019_paper.html",
        ),
    ),
    "FastAPLoss": Known(
        "list",
        Paper(
            "Cakir, He, Xia, Kulis, Sclaroff", "Deep Metric Learning to Rank", "CVPR", 2019,
            "https://openaccess.thecvf.com/content_CVPR_2019/html/"
            "Cakir_Deep_Metric_Learning_to_Rank_CVPR_2019_paper.html",
        ),
        {"num_bins": IntDistribution(2, 32)}, {"num_bins": 10},
    ),
    "GeneralizedLiftedStructureLoss": Known(
        "pair",
        _arxiv(
            "Hermans, Beyer, Leibe", "In Defense of the Triplet Loss for Person Re-Identification", "arXiv", 2017,
            "1703.07737",
        ),
        {"neg_margin": _linear(0.1, 2)}, {"neg_margin": 1.0},
    ),
    "HistogramLoss": Known(
        "pair",
        _arxiv(
            "Ustinova, Lempitsky", "Learning Deep Embeddings with Histogram Loss", "NIPS", 2016, "1611.00822"
        ),
        {"n_bins": IntDistribution(25, 400, log=True)}, {"n_bins": 100},
    ),
    "IntraPairVarianceLoss": Known(
        "pair",
        Paper(
            "Yu, Tao", "Deep Metric Learning with Tuplet Margin Loss", "ICCV", 2019,
            "https://openaccess.thecvf.com/content_ICCV_2019/html/"
            "Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.html",
        ),
        caveat="a regulariser, meant to stand beside another loss",
    ),
    "LargeMarginSoftmaxLoss": Known(
        "classification",
        _arxiv(
            "Liu, Wen, Yu, Yang", "Large-Margin Softmax Loss for Convolutional Neural Networks", "ICML", 2016,
            "1612.02295",
        ),
        {"margin": IntDistribution(1, 4), "scale": _log(1, 64)}, {"margin": 4, "scale": 1.0}, own_rate=50.0,
    ),
    "LiftedStructureLoss": Known(
        "pair", _LIFTED, {"neg_margin": _linear(0.1, 2)}, {"neg_margin": 1.0}
    ),
    "MarginLoss": Known(
        "triplet",
        _arxiv(
            "Wu, Manmatha, Smola, Krähenbühl", "Sampling Matters in Deep Embedding Learning", "ICCV", 2017,
            "1706.07567",
        ),
        {"margin": _linear(0, 1), "beta": _linear(0.2, 1.6)}, {"margin": 0.2, "beta": 1.2},
    ),
    "MultiSimilarityLoss": Known(
        "pair",
        _arxiv(
            "Wang, Han, Huang, Dong, Scott",
            "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning", "CVPR", 2019,
            "1904.06627",
        ),
        {"alpha": _log(0.01, 100), "beta": _log(1, 200), "base": _linear(0, 1)},
        {"alpha": 2.0, "beta": 50.0, "base": 0.5},
    ),
    "NCALoss": Known(
        "list",
        Paper(
            "Goldberger, Roweis, Hinton, Salakhutdinov", "Neighbourhood Components Analysis", "NIPS", 2004,
            "https://papers.nips.cc/paper/2004/hash/42fe880812925e520249e808937738d2-Abstract.html",
        ),
        {"softmax_scale": _log(1, 100)}, {"softmax_scale": 1.0},
    ),
    "NPairsLoss": Known(
        "pair",
        Paper(
            "Sohn", "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", "NIPS", 2016,
            "https://papers.nips.cc/paper/2016/hash/6b180037abbebea991d8b1232f8a8ca9-Abstract.html",
        ),
    ),
    "NTXentLoss": Known(
        "pair",
        _arxiv(
            "Chen, Kornblith, Norouzi, Hinton",
            "A Simple Framework for Contrastive Learning of Visual Representations", "ICML", 2020, "2002.05709",
        ),
        {"temperature": _log(0.001, 1)}, {"temperature": 0.07},
    ),
    "NormalizedSoftmaxLoss": Known(
        "classification",
        _arxiv(
            "Zhai, Wu", "Classification is a Strong Baseline for Deep Metric Learning", "BMVC", 2019, "1811.12649"
        ),
        {"temperature": _log(0.01, 1)}, {"temperature": 0.05}, own_rate=10.0,
    ),
    "P2SGradLoss": Known(
        "classification",
        _arxiv(
            "Zhang, Zhao, Yan, Wang, Li", "P2SGrad: Refined Gradients for Optimizing Deep Face Models", "CVPR", 2019,
            "1905.02479",
        ),
        own_rate=50.0,
    ),
    "PNPLoss": Known(
        "list",
        _arxiv(
            "Li, Min, Song, Zhu, Kang, Wei, Wei",
            "Rethinking the Optimization of Average Precision: Only Penalizing Negative Instances before Positive "
            "Ones is Enough", "AAAI", 2022, "2102.04640",
        ),
        {"anneal": _log(0.005, 0.1)}, {"anneal": 0.01},
    ),
    "ProxyAnchorLoss": Known(
        "proxy",
        _arxiv("Kim, Kim, Cho, Kwak", "Proxy Anchor Loss for Deep Metric Learning", "CVPR", 2020, "2003.13911"),
        {"margin": _linear(0, 0.3), "alpha": _log(8, 64)}, {"margin": 0.1, "alpha": 32.0}, own_rate=100.0,
    ),
    "ProxyNCALoss": Known(
        "proxy",
        _arxiv(
            "Movshovitz-Attias, Toshev, Leung, Ioffe, Singh",
            "No Fuss Distance Metric Learning using Proxies", "ICCV", 2017, "1703.07464",
        ),
        # Above about 45 the library's softmax is 0 in float32, and its logarithm not finite.
        {"softmax_scale": _log(0.5, 40)}, {"softmax_scale": 1.0}, own_rate=50.0,
    ),
    "RankedListLoss": Known(
        "list",
        _arxiv(
            "Wang, Hua, Kodirov, Hu, Garnier, Robertson", "Ranked List Loss for Deep Metric Learning", "CVPR", 2019,
            "1903.03238",
        ),
        {"margin": _linear(0.1, 0.8), "alpha": _linear(0.8, 1.5), "Tn": _log(0.5, 20)},
        {"margin": 0.4, "alpha": 1.2, "Tn": 10.0},
    ),
    "SignalToNoiseRatioContrastiveLoss": Known(
        "pair",
        _arxiv(
            "Yuan, Deng, Tang, Tang, Chen",
            "Signal-to-Noise Ratio: A Robust Distance Metric for Deep Metric Learning", "CVPR", 2019, "1904.02616",
        ),
        {"pos_margin": _linear(0, 2), "neg_margin": _linear(0, 2)}, {"pos_margin": 0.0, "neg_margin": 1.0},
    ),
    "SoftTripleLoss": Known(
        "classification",
        _arxiv(
            "Qian, Shang, Sun, Hu, Li, Jin", "SoftTriple Loss: Deep Metric Learning Without Triplet Sampling",
            "ICCV", 2019, "1909.05235",
        ),
        {"la": _log(1, 200), "gamma": _log(0.005, 100), "margin": _linear(0, 1)},
        {"la": 20.0, "gamma": 0.1, "margin": 0.01}, own_rate=100.0,
    ),
    "SphereFaceLoss": Known(
        "classification",
        _arxiv(
            "Liu, Wen, Yu, Li, Raj, Song", "SphereFace: Deep Hypersphere Embedding for Face Recognition", "CVPR",
            2017, "1704.08063",
        ),
        {"margin": IntDistribution(1, 4), "scale": _log(1, 64)}, {"margin": 4, "scale": 1.0}, own_rate=50.0,
    ),
    "SubCenterArcFaceLoss": Known(
        "classification",
        Paper(
            "Deng, Guo, Liu, Gong, Zafeiriou", "Sub-center ArcFace: Boosting Face Recognition by Large-Scale Noisy "
            "Web Faces", "ECCV", 2020, "https://doi.org/10.1007/978-3-030-58621-8_43",
        ),
        {"margin": _linear(0, 60), "scale": _log(4, 200)}, {"margin": 28.6, "scale": 64.0}, own_rate=50.0,
    ),
    "SupConLoss": Known(
        "pair",
        _arxiv(
            "Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan",
            "Supervised Contrastive Learning", "NeurIPS", 2020, "2004.11362",
        ),
        {"temperature": _log(0.02, 1)}, {"temperature": 0.1},
    ),
    "ThresholdConsistentMarginLoss": Known(
        "pair",
        _arxiv(
            "Zhang, Xu, Wu, Wu, Manmatha, Soatto", "Threshold-Consistent Margin Loss for Open-World Deep Metric "
            "Learning", "ICLR", 2024, "2307.04047",
        ),
        {"margin_plus": _linear(0.5, 1), "margin_minus": _linear(0, 0.9)},
        {"margin_plus": 0.9, "margin_minus": 0.5},
        caveat="a regulariser, meant to stand beside another loss",
    ),
    "TripletMarginLoss": Known(
        "triplet",
        Paper(
            "Weinberger, Saul", "Distance Metric Learning for Large Margin Nearest Neighbor Classification", "JMLR",
            2009, "https://www.jmlr.org/papers/v10/weinberger09a.html",
        ),
        {"margin": _log(0.01, 1)}, {"margin": 0.05},
    ),
    "TupletMarginLoss": Known(
        "list",
        Paper(
            "Yu, Tao", "Deep Metric Learning with Tuplet Margin Loss", "ICCV", 2019,
            "https://openaccess.thecvf.com/content_ICCV_2019/html/"
            "Yu_Deep_Metric_Learning_With_Tuplet_Margin_Loss_ICCV_2019_paper.html",
        ),
        {"margin": _linear(0, 20), "scale": _log(8, 128)}, {"margin": 5.73, "scale": 64.0},
    ),
}  # fmt: skip
