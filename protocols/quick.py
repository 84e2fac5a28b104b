"""A demonstration: the whole path, tuned, cross-validated and repeated, on drawn characters in minutes on two cores."""

from harness.protocol import Protocol

PROTOCOL = Protocol(
    title="Quick (demonstration, barely tuned)",
    about=(
        "A small network trained from scratch on 32 x 32 characters for 120 steps; three searches of four trials over "
        "four folds. It shows the machinery at work; it ranks nothing that matters."
    ),
    backbone="convnet",
    embedding_size=64,
    resize=32,
    size=32,
    train_view="jitter",
    test_view="whole",
    flip=False,
    batch_size=32,
    images_per_class=4,
    batches="draws",
    optimizer="adamw",
    lr=1e-3,
    lr_range=(1e-4, 1e-2),
    weight_decay=1e-4,
    epoch_steps=40,
    evaluate_every=1,
    patience=3,
    epochs=3,
    folds=4,
    fold_rule="hashed",
    trials=4,
    search="tpe",
    searches=3,
    repetitions=6,
)
