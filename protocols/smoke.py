"""For tests: every stage once, in seconds. Its numbers mean nothing."""

from harness.protocol import Protocol

PROTOCOL = Protocol(
    title="Smoke (for tests, not a benchmark)",
    about="Two folds, two trials, two repetitions of twenty steps: enough to see that a method goes through.",
    backbone="convnet",
    embedding_size=16,
    resize=32,
    size=32,
    train_view="jitter",
    test_view="whole",
    flip=False,
    batch_size=16,
    images_per_class=4,
    batches="draws",
    optimizer="adamw",
    lr=1e-3,
    lr_range=(1e-4, 1e-2),
    epoch_steps=10,
    evaluate_every=1,
    patience=2,
    epochs=2,
    folds=2,
    fold_rule="hashed",
    trials=2,
    search="tpe",
    repetitions=2,
    published_repetitions=1,
)
