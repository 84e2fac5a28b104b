"""Backbones: their outputs against other implementations, and their weights' files, found, fetched or missing."""

from __future__ import annotations

import http.server
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import v2

import harness.backbones
from harness.backbones import (
    InputSpec,
    PublishedWeights,
    backbone_names,
    describe,
    find_weights,
    freeze_batchnorm,
    input_spec,
    load_backbone,
    published_weights,
)
from harness.backbones.bn_inception import BNInception
from harness.backbones.fetching import download_weights
from harness.backbones.weights import sha256_of
from harness.campaign.prepare import Trunk
from harness.campaign.recording import _of_method
from harness.contamination import contamination, may_hold_test_classes
from harness.discovery import load_method, load_protocol
from harness.errors import MissingError, RequestError

HALF = InputSpec((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _shake(network: nn.Module, seed: int = 0) -> None:
    """Weights that let the image through, and statistics, scales and shifts that show when one is misplaced."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0.0, 0.2)
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean, 0.0, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)


def _same(one: Tensor, other: Tensor, tolerance: float = 1e-5) -> bool:
    """Equal but for rounding: memory layouts differ, so sums are taken in another order."""
    return bool((one - other).abs().max() <= tolerance * other.abs().max())


def _save(state: dict[str, Tensor], folder: Path, name: str = "weights.pth") -> Path:
    torch.save(state, folder / name)
    return folder / name


# -- bn_inception -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cadene() -> Any:
    """The field's BN-Inception, with random weights and statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a package of 2018
        import pretrainedmodels  # it warns when imported
    network = pretrainedmodels.bninception(pretrained=None).eval()
    _shake(network)
    return network


@pytest.mark.parametrize("rows", [False, True])
def test_bn_inception_is_cadenes(cadene: Any, tmp_path: Path, rows: bool) -> None:
    """`rows`: BatchNorm stored as (1, C), as the published file has it."""
    state = {
        name: value[None] if rows and "_bn." in name and value.dim() == 1 else value
        for name, value in cadene.state_dict().items()
    }
    ours = load_backbone("bn_inception", _save(state, tmp_path), override=HALF).module.eval()
    x = torch.rand(2, 3, 227, 227) * 255 - 117
    with torch.no_grad():
        expected = cadene.global_pool(cadene.features(x)).flatten(1)
        features = ours(x)
    assert _same(features[-1], expected)
    assert not _same(features[-1][:1], features[-1][1:], 1e-2)  # it does look at the image


def test_bn_inceptions_stages_are_the_last_blocks_before_each_halving(cadene: Any, tmp_path: Path) -> None:
    ours = load_backbone("bn_inception", _save(cadene.state_dict(), tmp_path), override=HALF).module.eval()
    seen: dict[str, Tensor] = {}
    for name in ("inception_3c_3x3_reduce", "inception_4e_3x3_reduce"):
        cadene.get_submodule(name).register_forward_hook(
            lambda _, x, __, name=name: seen.update({name: x[0]})
        )
    x = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        cadene.features(x)
        features = ours(x)
    assert _same(features[0], seen["inception_3c_3x3_reduce"].mean((2, 3)))
    assert _same(features[1], seen["inception_4e_3x3_reduce"].mean((2, 3)))
    assert ours.feature_sizes == (320, 608, 1024)


def test_bn_inceptions_published_weights_want_caffes_input() -> None:
    published = published_weights("bn_inception")[0]
    assert published.file == "bn_inception-52deb4733.pth"
    assert published.input.channels == "BGR"
    assert (published.input.mean, published.input.std) == ((104.0, 117.0, 128.0), (1.0, 1.0, 1.0))
    assert published.input.scale == 255


# -- torchvision --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("mobilenet_v2", 96, (32, 96, 1280)),
        ("resnet18", 96, (128, 256, 512)),
        ("resnet50", 64, (512, 1024, 2048)),
        ("googlenet", 96, (480, 832, 1024)),
        ("efficientnet_b0", 96, (40, 112, 1280)),
        ("convnext_tiny", 64, (192, 384, 768)),
        ("swin_t", 224, (192, 384, 768)),
        ("vit_b_16", 224, (768,)),
    ],
)
def test_torchvisions_final_feature_is_what_its_classifier_sees(
    tmp_path: Path, name: str, size: int, expected: tuple[int, ...]
) -> None:
    """The features, through the classifier that was cut off, give the network's own output."""
    arguments = {"init_weights": True} if name == "googlenet" else {}
    network = models.get_model(name, weights=None, **arguments).eval()
    _shake(network)
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    nn.init.normal_(last.weight)  # ViT's is born as zeros
    loaded = load_backbone(name, _save(network.state_dict(), tmp_path), override=HALF)
    trunk = loaded.module.eval()
    x = torch.randn(2, 3, size, size) * torch.tensor([1.0, 8.0])[:, None, None, None]
    with torch.no_grad():
        features = trunk(x)
        output = network(x)
        assert _same(last(features[-1]), output)
    assert trunk.feature_sizes == expected == tuple(f.shape[1] for f in features)
    assert not _same(output[:1], output[1:], 1e-2)  # it does look at the image


def test_torchvisions_stages_end_before_the_next_halving(tmp_path: Path) -> None:
    network = models.resnet18(weights=None).eval()
    _shake(network)
    trunk = load_backbone("resnet18", _save(network.state_dict(), tmp_path), override=HALF).module.eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = trunk(x)
        second = network.layer2(network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(x))))))
    assert _same(features[0], second.mean((2, 3)))
    assert _same(features[1], network.layer3(second).mean((2, 3)))


def test_dropout_before_the_classifier_is_gone_in_training() -> None:
    trunk = load_backbone("mobilenet_v2", None).module.train()
    freeze_batchnorm(trunk)
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(trunk(x)[-1], trunk(x)[-1])


def test_the_recovered_weights_recognise_birds(data_root: Path) -> None:
    """Recall@1 over 12 classes of birds at 128 px; chance is 0.08, weights fed wrongly fall far below 0.6."""
    backbone = load_backbone("mobilenet_v2", data_root / "weights" / "mobilenet_v2.pth", expected="214e840d")
    assert backbone.input.mean == (0.5, 0.5, 0.5)
    images, labels = _birds(data_root, classes=12, each=10)
    with torch.no_grad():
        features = torch.cat([backbone.module.eval()((part / 127.5) - 1)[-1] for part in images.split(40)])
    assert _recall_at_1(features, labels) > 0.6


def _birds(root: Path, classes: int, each: int) -> tuple[Tensor, Tensor]:
    folders = sorted((root / "cub127" / "CUB_200_2011" / "images").iterdir())[:: 127 // classes][:classes]
    files = [
        (file, label) for label, folder in enumerate(folders) for file in sorted(folder.iterdir())[:each]
    ]
    images = [
        v2.functional.pil_to_tensor(Image.open(file).convert("RGB").resize((128, 128))) for file, _ in files
    ]
    return torch.stack(images).float(), torch.tensor([label for _, label in files])


def _recall_at_1(features: Tensor, labels: Tensor) -> float:
    unit = nn.functional.normalize(features)
    similarity = (unit @ unit.T).fill_diagonal_(-2)
    return float((labels[similarity.argmax(1)] == labels).float().mean())


# -- timm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("resnet10t", 64, (128, 256, 512)),
        ("mobilenetv2_050", 64, (16, 48, 1280)),
        ("deit_tiny_patch16_224", 224, (192, 192, 192)),
        ("vit_tiny_patch16_224,dynamic_img_size=true", 64, (192, 192, 192)),
    ],
)
def test_timms_final_feature_is_timms_own(
    tmp_path: Path, name: str, size: int, expected: tuple[int, ...]
) -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model(name.split(",")[0], pretrained=False).eval()
    _shake(network)
    trunk = load_backbone(f"timm:{name}", _save(network.state_dict(), tmp_path), override=HALF).module.eval()
    network.reset_classifier(0)
    if "dynamic" in name:
        network = trunk.named
    x = torch.rand(2, 3, size, size)
    with torch.no_grad():
        features = trunk(x)
        assert _same(features[-1], network(x))
    assert trunk.feature_sizes == expected == tuple(f.shape[1] for f in features)


def test_timms_recovered_weights_recognise_birds(data_root: Path) -> None:
    pytest.importorskip("timm")
    file = data_root / "weights" / "timm_mobilenetv2_100_pad_same.pth"
    backbone = load_backbone("timm:mobilenetv2_100,pad_type=same", file)
    images, labels = _birds(data_root, classes=12, each=10)
    with torch.no_grad():
        features = torch.cat([backbone.module.eval()((part / 127.5) - 1)[-1] for part in images.split(40)])
    assert _recall_at_1(features, labels) > 0.6


def test_an_unknown_network_of_timm_is_named() -> None:
    pytest.importorskip("timm")
    with pytest.raises(RequestError, match=r"resnet5x.*near it: .*resnet5"):
        load_backbone("timm:resnet5x", None)
    with pytest.raises(RequestError, match="refuses these settings"):
        load_backbone("timm:resnet10t,colour=blue", None)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(RequestError, match=r"pip install 'dml-benchmark\[timm\]'"):
        load_backbone("timm:resnet18", None)


# -- a file of one's own ------------------------------------------------------------------------------------
OWN = """
from torch import nn
from harness.backbones.own import Backbone

class Row(nn.Module):
    feature_sizes = (3,)

    def forward(self, x):
        return [x.mean((2, 3))]

BACKBONE = Backbone(Row, size=20)
"""


def test_a_file_with_a_backbone_is_one_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "row_of_a_test.py").write_text(OWN)
    monkeypatch.setattr(harness.backbones, "__path__", [*harness.backbones.__path__, str(tmp_path)])
    assert "row_of_a_test" in backbone_names()
    assert published_weights("row_of_a_test") == ()
    loaded = load_backbone("row_of_a_test", None)
    assert (loaded.input.size, loaded.module.feature_sizes) == (20, (3,))
    row = describe("row_of_a_test", [])
    assert row["here"] is True and row["parameters"] == 0


def test_a_backbone_that_is_another_thing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong_of_a_test.py").write_text("BACKBONE = print\n")
    monkeypatch.setattr(harness.backbones, "__path__", [*harness.backbones.__path__, str(tmp_path)])
    with pytest.raises(RequestError, match=r"wrong_of_a_test.py: BACKBONE is a .*expected Backbone\(build"):
        load_backbone("wrong_of_a_test", None)


# -- convnet and BatchNorm ----------------------------------------------------------------------------------


def test_convnet_gives_an_image_the_same_features_in_any_batch() -> None:
    network = load_backbone("convnet", None).module.train()
    x = torch.rand(8, 3, 32, 32)
    together = network(x)
    assert [f.shape for f in together] == [(8, 16), (8, 32), (8, 64)]
    assert network.feature_sizes == (16, 32, 64)
    for alone, among in zip(network(x[:1]), together, strict=True):
        assert torch.allclose(alone[0], among[0], atol=1e-6)
    together[-1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_frozen_batchnorm_keeps_its_statistics_and_trains_its_scale() -> None:
    network = BNInception().train()
    freeze_batchnorm(network)
    before = {k: v.clone() for k, v in network.state_dict().items() if "running" in k or "tracked" in k}
    network(torch.rand(4, 3, 64, 64))[-1].sum().backward()
    after = network.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    assert network.training
    scales = [layer.weight for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(scale.requires_grad and scale.grad is not None for scale in scales)


# -- weights' files -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet18() -> dict[str, Tensor]:
    state: dict[str, Tensor] = models.resnet18(weights=None).state_dict()
    return state


def test_weights_of_another_hash_than_expected_are_refused(
    tmp_path: Path, resnet18: dict[str, Tensor]
) -> None:
    file = _save(resnet18, tmp_path)
    with pytest.raises(RequestError, match=f"sha256 {sha256_of(file)}; expected 52deb4733"):
        load_backbone("resnet18", file, expected="52deb4733", override=HALF)
    loaded = load_backbone("resnet18", file, expected=sha256_of(file)[:12], override=HALF)
    assert loaded.weights_sha256 == sha256_of(file)


def test_unknown_weights_need_their_input_said(tmp_path: Path, resnet18: dict[str, Tensor]) -> None:
    with pytest.raises(RequestError, match="--set input_mean"):
        load_backbone("resnet18", _save(resnet18, tmp_path))
    assert load_backbone("resnet18", tmp_path / "weights.pth", override=HALF).input == HALF


def test_safetensors_load_like_pytorchs_own_files(tmp_path: Path, resnet18: dict[str, Tensor]) -> None:
    save_file(resnet18, tmp_path / "weights.safetensors")
    one = load_backbone("resnet18", tmp_path / "weights.safetensors", override=HALF).module.eval()
    two = load_backbone("resnet18", _save(resnet18, tmp_path), override=HALF).module.eval()
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(one(x)[-1], two(x)[-1])


def test_parameters_that_do_not_fit_are_named(tmp_path: Path, resnet18: dict[str, Tensor]) -> None:
    broken = dict(resnet18)
    del broken["layer1.0.conv1.weight"]
    broken["layer9.weight"] = torch.zeros(3)
    broken["conv1.weight"] = torch.zeros(64, 4, 7, 7)
    with pytest.raises(RequestError) as refusal:
        load_backbone("resnet18", _save(broken, tmp_path), override=HALF)
    for words in (
        "1 missing (layer1.0.conv1.weight)",
        "1 unknown (layer9.weight)",
        "(64, 4, 7, 7) for (64, 3, 7, 7)",
    ):
        assert words in str(refusal.value)


class _Shout:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("a weights' file ran code",)


@pytest.mark.parametrize("kind", ["code", "text", "empty", "list"])
def test_files_that_are_no_weights_are_refused(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "weights.pth"
    if kind in ("code", "list"):
        torch.save({"code": {"conv1.weight": _Shout()}, "list": [1, 2]}[kind], file)
    else:
        file.write_bytes(b"not weights" if kind == "text" else b"")
    with pytest.raises(RequestError, match=str(file)):
        load_backbone("resnet18", file, override=HALF)
    assert "ran code" not in capsys.readouterr().out


def test_unknown_names_get_the_nearest_one() -> None:
    with pytest.raises(RequestError, match="did you mean resnet50"):
        load_backbone("resnet5O", None)
    with pytest.raises(MissingError, match="no such file"):
        load_backbone("resnet18", Path("nowhere.pth"))


# -- known weights ------------------------------------------------------------------------------------------


def test_every_known_file_has_a_hash_an_https_address_and_an_input() -> None:
    for name in backbone_names():
        known = published_weights(name)
        assert known or name == "convnet", name
        for weights in known:
            assert len(weights.sha256) >= 8
            assert set(weights.sha256) <= set("0123456789abcdef")
            assert all(address.startswith("https://") for address in weights.addresses)
            assert weights.input.trained_on
            assert input_spec(weights.sha256.ljust(64, "0"), None, known) == weights.input


def test_googlenets_weights_see_what_torchvision_turns_imagenets_input_into() -> None:
    x = torch.rand(2, 3, 64, 64)
    network = models.googlenet(weights=None, transform_input=True, init_weights=True)
    imagenet = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    spec = published_weights("googlenet")[0].input
    ours = v2.Normalize(list(spec.mean), list(spec.std))(x)
    assert torch.allclose(network._transform_input(imagenet(x)), ours, atol=1e-6)


def test_missing_weights_say_what_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bn_inception-52deb4733.pth").write_bytes(b"something else")
    with pytest.raises(MissingError) as refusal:
        find_weights("bn_inception", "52deb4733", [tmp_path / "mine"])
    for words in (
        "bn_inception-52deb4733.pth",
        "52deb4733",
        str(tmp_path / "mine"),
        "hub",
        "https://",
        "another file",
    ):
        assert words in str(refusal.value)
    with pytest.raises(MissingError, match="no weights with sha256 ffff"):
        find_weights("bn_inception", "ffff", [])


def test_weights_are_found_in_a_folder_and_in_torchs_cache(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = data_root / "weights" / "mobilenet_v2.pth"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert find_weights("mobilenet_v2", "214e840d", [file.parent]) == file
    with pytest.raises(MissingError, match=f"other weights of it are here: --weights {file}"):
        find_weights("mobilenet_v2", None, [file.parent])
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / file.name).symlink_to(file)
    assert find_weights("mobilenet_v2", sha256_of(file), []) == tmp_path / "checkpoints" / file.name


def test_every_backbone_has_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    rows = {name: describe(name, [tmp_path]) for name in backbone_names()}
    assert rows["convnet"]["here"] is True
    assert rows["resnet50"]["here"] is False
    assert rows["bn_inception"]["input"] == "BGR 0-255, mean 104/117/128, std 1/1/1"
    assert rows["resnet50"]["parameters"] == sum(p.numel() for p in models.resnet50().parameters())
    assert "CUB" in rows["resnet50"]["note"]
    assert rows["convnet"]["note"] == ""
    assert "may" in contamination("")
    told = {
        data: may_hold_test_classes(data)
        for data in ("nothing", "ImageNet-1k", "ImageNet-21k", "LAION-2B", "")
    }
    assert told == {"nothing": False, "ImageNet-1k": False, "ImageNet-21k": True, "LAION-2B": True, "": True}
    assert rows["mobilenet_v2"]["others_here"] == []
    (tmp_path / "mobilenet_v2.pth").touch()
    row = describe("mobilenet_v2", [tmp_path])
    assert (row["here"], row["others_here"]) == (False, ["mobilenet_v2.pth"])


@pytest.mark.parametrize(
    ("name", "images", "note"),
    [
        ("resnet50.a1_in1k", "ImageNet-1k", "holds some of CUB's photographs"),
        ("vit_base_patch16_224.augreg_in21k", "ImageNet-21k", "holds some of CUB's photographs"),
        ("vit_small_patch14_dinov2.lvd142m", "LVD (curated web images)", "may hold any test image"),
        ("tf_efficientnet_b0.ns_jft_in1k", "JFT-300M (web images)", "may hold any test image"),
        (
            "resnext101_32x8d.fb_wsl_ig1b_ft_in1k",
            "Instagram photographs by hashtag",
            "may hold any test image",
        ),
        ("convnext_base.fb_in22k_ft_in1k", "ImageNet-22k", "holds some of CUB's photographs"),
        ("vit_base_patch16_clip_224.openai", "OpenAI's web images and captions", "may hold any test image"),
        ("vit_base_patch16_siglip_224.webli", "WebLI (web images and captions)", "may hold any test image"),
        ("vit_small_patch16_224.dino", "ImageNet-1k", "holds some of CUB's photographs"),
    ],
)
def test_what_timms_weights_have_seen(name: str, images: str, note: str) -> None:
    """What was seen first counts, whatever came after it."""
    row = describe(f"timm:{name}", [])
    assert row["trained_on"] == images
    assert note in row["note"]
    assert row["address"].startswith("https://")


# -- fetching -----------------------------------------------------------------------------------------------


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A local HTTP server: its address, and the folder that it hands out."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", folder
        running.shutdown()
        thread.join()


def test_weights_are_fetched_from_the_first_address_that_has_them(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = server
    content = np.random.default_rng(0).bytes(200_000)
    (folder / "good.pth").write_bytes(content)
    (folder / "bad.pth").write_bytes(b"an error page")
    sha256 = sha256_of(folder / "good.pth")
    addresses = tuple(f"{address}/{name}.pth" for name in ("absent", "bad", "good"))
    steps: list[tuple[int, int]] = []
    weights = PublishedWeights("net.pth", sha256[:9], HALF, addresses)
    file = download_weights(weights, tmp_path / "cache", lambda done, all_: steps.append((done, all_)))
    assert file.read_bytes() == content
    assert steps[-1] == (200_000, 200_000)
    assert [p.name for p in file.parent.iterdir()] == ["net.pth"]


def test_a_fetch_that_fails_everywhere_names_each_reason(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    (folder / "bad.pth").write_bytes(b"an error page")
    weights = PublishedWeights("net.pth", "0" * 64, HALF, (f"{address}/absent.pth", f"{address}/bad.pth"))
    with pytest.raises(MissingError) as refusal:
        download_weights(weights, tmp_path / "cache")
    for words in ("absent.pth", "404", "bad.pth", "expected 000"):
        assert words in str(refusal.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_weights_that_may_have_seen_the_test_classes_keep_an_entry_out_of_ranks() -> None:
    protocol = load_protocol("frozen")
    web, imagenet = (
        InputSpec((0.5,) * 3, (0.5,) * 3, trained_on=data) for data in ("LAION-2B", "ImageNet-1k")
    )
    assert Trunk(protocol, Path("w"), "0", web).caveat == "LAION-2B: may hold any test image"
    assert Trunk(protocol, Path("w"), "0", imagenet).caveat == ""
    assert Trunk(protocol, None, "", web).caveat == ""
    assert not _of_method(load_method("ms"), Trunk(protocol, Path("w"), "0", web))["ranked"]
    assert _of_method(load_method("ms"), Trunk(protocol, Path("w"), "0", imagenet))["ranked"]
