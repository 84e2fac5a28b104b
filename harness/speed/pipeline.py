"""The input pipeline beside the field's usual one: a DataLoader over image files with torchvision's transforms.

Both give the same views of the same images in the same order of batches. Decoding before the first batch, which ours
does once a dataset and the other in every epoch, is not counted.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from harness.backbones import InputSpec
from harness.data.pictures import Files
from harness.dataset import Pictures
from harness.engine.crops import Images
from harness.engine.inputs import ImageInputs
from harness.protocol import Protocol
from harness.speed.rounds import Figure, Work, compared

#: Processes of the DataLoader.
WORKERS = 2


def pipeline_figures(
    pictures: Pictures,
    store: Images,
    protocol: Protocol,
    spec: InputSpec,
    batches: int,
    rounds: int,
) -> list[Figure]:
    """So many training batches of our pipeline, and of a DataLoader.

    pictures: the images as they are kept; store: the same, decoded. protocol: size and augmentation of the views
    (a crop, or shift, scale and rotation) and of the batch. spec: what the network wants to see.
    """
    generator = torch.Generator().manual_seed(0)
    order = [
        torch.randint(len(pictures), (protocol.batch_size,), generator=generator) for _ in range(batches)
    ]
    inputs = ImageInputs(store, protocol, spec, torch.device("cpu"))

    def ours() -> None:
        views = torch.Generator().manual_seed(0)
        for index in order:
            inputs.train_batch(index, views)

    loader = DataLoader(
        _Decoded(pictures, _transform(protocol, spec)),
        batch_sampler=[index.tolist() for index in order],
        num_workers=WORKERS,
        persistent_workers=True,
    )

    def usual() -> None:
        for _ in loader:
            pass

    # Processes started, files and pages in the system's cache.
    ours()
    usual()
    images = batches * protocol.batch_size
    work: dict[str, Work] = {
        f"store and augmentation, {images} views at {protocol.size} px": ours,
        f"torch DataLoader with torchvision transforms, {WORKERS} processes": usual,
    }
    return compared(work, rounds, images)


class _Decoded(Dataset[Tensor]):
    """Images decoded whenever they are asked for."""

    def __init__(self, pictures: Pictures, transform: transforms.Compose) -> None:
        self.pictures, self.transform = pictures, transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        if isinstance(self.pictures, Files):
            with Image.open(self.pictures.paths[index]) as file:
                image = file.convert("RGB")
        else:
            image = Image.fromarray(self.pictures.read(index))
        view: Tensor = self.transform(image)
        return view


def _transform(protocol: Protocol, spec: InputSpec) -> transforms.Compose:
    """The protocol's training view in torchvision's words."""
    steps: list[object] = []
    if protocol.train_view == "crop":
        steps += [
            transforms.Resize(protocol.resize),
            transforms.RandomResizedCrop(protocol.size, protocol.crop_area, protocol.crop_ratio),
        ]
    else:
        shift = protocol.jitter_shift / protocol.size
        steps += [
            transforms.Resize((protocol.size, protocol.size)),
            # Characters are drawn on white, which ours goes on with beyond the border.
            transforms.RandomAffine(
                protocol.jitter_rotation, (shift, shift), protocol.jitter_scale, fill=255
            ),
        ]
    steps += [transforms.RandomHorizontalFlip()] if protocol.flip else []
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)])
