"""Views: the crops, jitters and centres that the network sees, against torchvision's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import stats
from torchvision.transforms import v2

from harness.backbones import FROM_SCRATCH, InputSpec
from harness.engine import crops, jitter, views
from harness.protocol import Protocol

CPU = torch.device("cpu")
BGR = InputSpec((104.0, 117.0, 128.0), (1.0, 1.0, 1.0), "BGR", 255.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Store:
    """Images in one flat buffer, as the image store has them."""

    buffer: npt.NDArray[np.uint8]
    heights: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, images: Sequence[npt.NDArray[np.uint8]]) -> Store:
        return cls(
            np.concatenate([image.ravel() for image in images]),
            np.array([image.shape[0] for image in images]),
            np.array([image.shape[1] for image in images]),
        )

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        sizes = 3 * self.heights * self.widths
        start, size = int(sizes[:index].sum()), int(sizes[index])
        return self.buffer[start : start + size].reshape(self.heights[index], self.widths[index], 3)


@pytest.fixture(scope="module")
def photographs(data_root: Path) -> Store:
    """24 photographs of birds, their short side 256 pixels."""
    files = sorted((data_root / "cub50").rglob("*.jpg"))[::120][:24]
    return Store.of([_short_side(Image.open(file).convert("RGB"), 256) for file in files])


@pytest.fixture(scope="module")
def characters() -> Store:
    """Smooth pictures of 32 x 32, white at the border like characters."""
    rng = np.random.default_rng(0)
    fine = Image.fromarray(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)).resize(
        (24, 24), Image.Resampling.BICUBIC
    )
    framed = np.full((32, 32, 3), 255, dtype=np.uint8)
    framed[4:28, 4:28] = np.asarray(fine)
    return Store.of([framed, framed[:, ::-1], framed.transpose(1, 0, 2)])


def _short_side(image: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    factor = side / min(image.size)
    return np.asarray(image.resize((round(image.width * factor), round(image.height * factor))))


def _pictures(store: Store) -> Iterator[torch.Tensor]:
    for i in range(len(store.heights)):
        yield torch.from_numpy(store.image(i)).permute(2, 0, 1)


def _everything(store: Store) -> torch.Tensor:
    return torch.arange(len(store.heights))


def _protocol(**fields: Any) -> Protocol:
    return dataclasses.replace(Protocol(title="views"), **fields)


def _drawn(store: Store, seed: int = 0) -> crops.Crops:
    generator = torch.Generator().manual_seed(seed)
    return crops.draw_crops(store.heights, store.widths, (0.16, 1.0), (0.75, 1.33), True, generator)


# -- crops ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["each", "batched"])
@pytest.mark.parametrize("size", [64, 227])
def test_crops_of_photographs_are_torchvisions(photographs: Store, way: str, size: int) -> None:
    drawn = _drawn(photographs)
    index = _everything(photographs)
    if way == "each":
        ours = crops.resize_each(photographs, index, drawn, size)
    else:
        ours = crops.resize_batched(photographs, index, drawn, size, CPU)
    assert drawn.flips.any()
    assert not drawn.flips.all()
    for i, picture in enumerate(_pictures(photographs)):
        box = (int(drawn.tops[i]), int(drawn.lefts[i]), int(drawn.heights[i]), int(drawn.widths[i]))
        expected = v2.functional.resized_crop(picture, *box, [size, size], antialias=True)
        if drawn.flips[i]:
            expected = v2.functional.horizontal_flip(expected)
        difference = (ours[i].permute(2, 0, 1).int() - expected.int()).abs().float()
        assert difference.mean() < 0.5
        assert difference.max() <= 2


def test_crops_of_photographs_are_pillows(photographs: Store) -> None:
    drawn = _drawn(photographs)
    ours = crops.resize_each(photographs, _everything(photographs), drawn, 227)
    for i in range(len(photographs.heights)):
        box = (int(drawn.tops[i]), int(drawn.lefts[i]), int(drawn.heights[i]), int(drawn.widths[i]))
        expected = v2.functional.resized_crop(Image.fromarray(photographs.image(i)), *box, [227, 227])
        if drawn.flips[i]:
            expected = v2.functional.horizontal_flip(expected)
        assert np.abs(ours[i].numpy().astype(int) - np.asarray(expected).astype(int)).mean() < 1.5


@pytest.mark.parametrize(("height", "width"), [(256, 341), (300, 100)])
def test_crops_are_distributed_as_torchvisions(height: int, width: int) -> None:
    area, ratio, draws = (0.16, 1.0), (0.75, 1.33), 4000
    sizes = np.full(draws, height), np.full(draws, width)
    ours = crops.draw_crops(*sizes, area, ratio, True, torch.Generator().manual_seed(3))
    torch.manual_seed(4)
    transform = v2.RandomResizedCrop(10, area, ratio)
    picture = torch.empty(3, height, width)
    theirs = [transform.make_params([picture]) for _ in range(draws)]
    columns = {"top": ours.tops, "left": ours.lefts, "height": ours.heights, "width": ours.widths}
    for name, values in columns.items():
        assert stats.ks_2samp(values, [params[name] for params in theirs]).pvalue > 1e-3, name
    assert abs(ours.flips.mean() - 0.5) < 0.03


def test_areas_and_ratios_are_uniform_where_every_draw_fits() -> None:
    sizes = np.full(4000, 1000), np.full(4000, 1000)
    drawn = crops.draw_crops(*sizes, (0.1, 0.5), (0.8, 1.25), False, torch.Generator().manual_seed(0))
    areas = drawn.heights * drawn.widths / 1e6
    ratios = np.log(drawn.widths / drawn.heights)
    assert stats.kstest(areas, stats.uniform(0.1, 0.4).cdf).pvalue > 1e-3
    assert stats.kstest(ratios, stats.uniform(math.log(0.8), 2 * math.log(1.25)).cdf).pvalue > 1e-3
    assert not drawn.flips.any()


@pytest.mark.parametrize(("height", "width"), [(50, 500), (501, 50), (100, 110)])
def test_a_crop_that_never_fits_is_the_largest_central_one(height: int, width: int) -> None:
    drawn = crops.draw_crops(
        np.array([height]),
        np.array([width]),
        (2.0, 3.0),
        (0.75, 1.33),
        False,
        torch.Generator().manual_seed(0),
    )
    expected = v2.RandomResizedCrop(10, (2.0, 3.0), (0.75, 1.33)).make_params([torch.empty(3, height, width)])
    ours = {"top": drawn.tops, "left": drawn.lefts, "height": drawn.heights, "width": drawn.widths}
    assert {name: int(value[0]) for name, value in ours.items()} == expected


def test_a_training_view_is_torchvisions_pipeline(photographs: Store) -> None:
    index = torch.tensor([5, 2, 2])
    ours = views.train_batch(photographs, index, _protocol(), BGR, torch.Generator().manual_seed(9), CPU)
    sizes = photographs.heights[index.numpy()], photographs.widths[index.numpy()]
    drawn = crops.draw_crops(*sizes, (0.16, 1.0), (0.75, 1.33), True, torch.Generator().manual_seed(9))
    pictures = list(_pictures(photographs))
    normalise = v2.Normalize([104, 117, 128], [1, 1, 1])
    for i, position in enumerate(index.tolist()):
        box = (int(drawn.tops[i]), int(drawn.lefts[i]), int(drawn.heights[i]), int(drawn.widths[i]))
        view = v2.functional.resized_crop(pictures[position], *box, [227, 227], antialias=True)
        view = v2.functional.horizontal_flip(view) if drawn.flips[i] else view
        expected = normalise(view.flip(0).float())
        assert (ours[i] - expected).abs().mean() < 1e-3


# -- jitter --------------------------------------------------------------------------------------------------


def _moved(store: Store, **parts: float) -> torch.Tensor:
    values = {"right": 0.0, "down": 0.0, "scale": 1.0, "turn": 0.0} | parts
    flips = torch.tensor([bool(values.pop("flip", 0))])
    movement = jitter.Jitter(
        **{name: torch.tensor([v], dtype=torch.float64) for name, v in values.items()}, flips=flips
    )
    return jitter.move(next(_pictures(store))[None].float(), movement)[0]


@pytest.mark.parametrize("side", [1, 28, 33])
def test_the_grid_of_a_movement_is_torchs_to_the_digit(side: int) -> None:
    theta = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        jitter._grid(theta, side), F.affine_grid(theta, [5, 3, side, side], align_corners=False)
    )


def test_jitter_without_movement_changes_nothing(characters: Store) -> None:
    assert torch.allclose(_moved(characters), next(_pictures(characters)).float(), atol=1e-3)


def test_jitter_shifts_right_and_down(characters: Store) -> None:
    before, after = next(_pictures(characters)).float(), _moved(characters, right=3, down=2)
    assert torch.allclose(after[:, 2:, 3:], before[:, :-2, :-3], atol=1e-2)
    assert (after[:, :2] == 255).all()


def test_jitter_turns_counter_clockwise_and_flips(characters: Store) -> None:
    before = next(_pictures(characters)).float()
    assert torch.allclose(_moved(characters, turn=math.pi / 2), before.rot90(1, (1, 2)), atol=1e-2)
    assert torch.allclose(_moved(characters, flip=1), before.flip(2), atol=1e-2)
    both = _moved(characters, flip=1, turn=math.pi / 2)
    assert torch.allclose(both, before.flip(2).rot90(1, (1, 2)), atol=1e-2)


def test_jitter_is_torchvisions_affine_movement(characters: Store) -> None:
    ours = _moved(characters, right=1.0, down=-2.0, scale=1.1, turn=math.radians(-10))
    expected = v2.functional.affine(
        next(_pictures(characters)).float(),
        10,
        [1, -2],
        1.1,
        [0.0],
        v2.InterpolationMode.BILINEAR,
        fill=[255.0],
    )
    inside = (slice(None), slice(4, 28), slice(4, 28))  # torchvision blends its filling into the border
    assert (ours[inside] - expected[inside]).abs().max() < 0.1


def test_jitter_is_drawn_within_its_ranges() -> None:
    drawn = jitter.draw_jitter(4000, 2.0, (0.9, 1.1), 10.0, False, torch.Generator().manual_seed(0))
    for values, low, high in (
        (drawn.right, -2, 2),
        (drawn.down, -2, 2),
        (drawn.scale, 0.9, 1.1),
        (drawn.turn, -math.radians(10), math.radians(10)),
    ):
        assert stats.kstest(values.numpy(), stats.uniform(low, high - low).cdf).pvalue > 1e-3
    assert not drawn.flips.any()


# -- whole and centre ----------------------------------------------------------------------------------------


def test_the_centre_is_torchvisions(photographs: Store) -> None:
    ours = views.test_batch(photographs, _everything(photographs), _protocol(), FROM_SCRATCH, CPU)
    pipeline = v2.Compose(
        [v2.CenterCrop(227), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    )
    for view, picture in zip(ours, _pictures(photographs), strict=True):
        assert torch.allclose(view, pipeline(picture), atol=1e-5)


def test_the_whole_image_is_squeezed_as_torchvision_does(photographs: Store) -> None:
    protocol = _protocol(train_view="whole", test_view="whole", size=128)
    index = _everything(photographs)
    generator = torch.Generator().manual_seed(1)
    flips = jitter.draw_jitter(len(index), 0, (1, 1), 0, True, torch.Generator().manual_seed(1)).flips
    training = views.train_batch(photographs, index, protocol, FROM_SCRATCH, generator, CPU)
    testing = views.test_batch(photographs, index, protocol, FROM_SCRATCH, CPU)
    assert torch.equal(training[flips], testing[flips].flip(3))
    assert torch.equal(training[~flips], testing[~flips])
    for view, picture in zip(testing, _pictures(photographs), strict=True):
        expected = v2.functional.resize(picture, [128, 128], antialias=True).float() / 127.5 - 1
        assert (view - expected).abs().mean() < 0.5 / 127.5


# -- the batch -----------------------------------------------------------------------------------------------


def test_images_of_one_size_are_gathered_from_the_buffer_itself(characters: Store) -> None:
    stacked = views._stacked(characters)
    assert stacked is not None
    assert stacked.data_ptr() == characters.buffer.ctypes.data
    protocol = _protocol(size=32, resize=32, test_view="whole")
    ours = views.test_batch(characters, torch.tensor([2, 0]), protocol, FROM_SCRATCH, CPU)
    expected = torch.stack([list(_pictures(characters))[i] for i in (2, 0)]).float() / 127.5 - 1
    assert torch.allclose(ours, expected, atol=1e-6)
    mixed = Store.of([characters.image(0), characters.image(0)[:20]])
    assert views._stacked(mixed) is None


@pytest.mark.parametrize("view", ["crop", "jitter", "whole"])
def test_chance_comes_from_the_generator_alone(characters: Store, view: str) -> None:
    protocol = _protocol(size=32, resize=32, train_view=view, test_view="whole")
    index = torch.tensor([0, 1, 2, 1])

    def batch(seed: int) -> torch.Tensor:
        return views.train_batch(
            characters, index, protocol, FROM_SCRATCH, torch.Generator().manual_seed(seed), CPU
        )

    state = torch.get_rng_state()
    first = batch(7)
    torch.rand(5)
    np.random.default_rng().random()
    assert torch.equal(first, batch(7))
    assert not torch.equal(first, batch(8))
    torch.set_rng_state(state)
    batch(7)
    assert torch.equal(state, torch.get_rng_state())


def test_views_are_interleaved_in_memory(photographs: Store) -> None:
    view = views.test_batch(photographs, torch.arange(4), _protocol(), BGR, CPU)
    assert view.is_contiguous(memory_format=torch.channels_last)
