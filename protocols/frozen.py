"""A full tuned, cross-validated comparison in minutes on a CPU: the backbone's features are computed once.

Only head and objective train, on features of the whole image squeezed to the network's input size. Nothing that is
seen here is claimed of fine-tuning. Two floors stand in the table: `untrained`, the trunk's own features, and
`untrained_head`, a random linear head.
"""

from harness.protocol import Protocol

PROTOCOL = Protocol(
    title="Frozen features",
    about=(
        "A linear head of 512 dimensions on the features of a backbone that does not train; AdamW with a searched "
        "rate, batches of 64 for at most 600 steps; three searches over four folds. Says nothing about fine-tuning."
    ),
    backbone=None,
    embedding_size=512,
    train_backbone=False,
    freeze_batchnorm=True,
    size_of_weights=True,
    train_view="whole",
    test_view="whole",
    flip=False,
    batch_size=64,
    images_per_class=4,
    batches="draws",
    optimizer="adamw",
    lr=1e-4,
    lr_range=(3e-6, 1e-3),
    weight_decay=1e-4,
    epoch_steps=50,
    evaluate_every=2,
    patience=3,
    epochs=12,
    folds=4,
    fold_rule="hashed",
    trials=6,
    search="tpe",
    searches=3,
    repetitions=6,
)
