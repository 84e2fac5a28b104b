"""The Reality Check with its known flaws mended.

What the study did, and what is done here instead:
- one learning rate for every method, and ranges in linear steps: the rate is searched with the method's own ranges,
  multiplicative ones on a log scale;
- batches of one image a class for some losses: 32 classes of 4 images for all;
- neighbouring classes in one fold: classes are shuffled before the folds are cut, anew for each repetition, the same
  for all methods; the search has the shuffle of seed 0;
- the winner of noisy scores: the three best settings are trained again with two other seeds (each with its own
  shuffle) before one is chosen;
- intervals for one search: three independent searches, to which the ten repetitions are dealt out in turn;
- a network and weights of 2015, patience of 2 to 5 validations by dataset: ResNet-50 with torchvision's first ImageNet
  weights, and a validation every 200 steps until 10 have brought nothing.
"""

from harness.protocol import Protocol

PROTOCOL = Protocol(
    title="A Metric Learning Reality Check (2026)",
    about=(
        "ResNet-50 at 224 px, 512 dimensions, AdamW at a searched rate, batches of 32 x 4 for at most 20,000 steps; "
        "three searches of 50 trials over four folds of shuffled classes, the three best settings of each tried again "
        "before the choice; ten repetitions, each with its own division of the classes."
    ),
    backbone="resnet50",
    weights="0676ba61",
    embedding_size=512,
    freeze_batchnorm=True,
    resize=256,
    size=224,
    train_view="crop",
    test_view="centre",
    crop_area=(0.16, 1.0),
    crop_ratio=(0.75, 1.33),
    flip=True,
    batch_size=128,
    images_per_class=4,
    method_sets_images_per_class=False,
    batches="draws",
    optimizer="adamw",
    lr=3e-5,
    lr_range=(3e-6, 3e-4),
    weight_decay=1e-4,
    epoch_steps=200,
    evaluate_every=1,
    patience=9,
    epochs=100,
    folds=4,
    fold_rule="shuffled",
    trials=50,
    search="tpe",
    searches=3,
    finalists=3,
    finalist_seeds=2,
    repetitions=10,
)
