"""Fine-tuning on photographs at a price that two cores can pay: small images, short trainings, a light backbone."""

from harness.protocol import Protocol

PROTOCOL = Protocol(
    title="Fine-tuning, small",
    about=(
        "The whole network trains at 96 pixels for at most 150 steps of 32 images, from the weights that the user "
        "names (MobileNetV2 on the boards); one search of three trials over two folds, five repetitions."
    ),
    backbone=None,
    embedding_size=512,
    freeze_batchnorm=True,
    resize=110,
    size=96,
    train_view="crop",
    test_view="centre",
    batch_size=32,
    images_per_class=4,
    batches="draws",
    optimizer="adamw",
    lr=1e-4,
    lr_range=(3e-6, 1e-3),
    weight_decay=1e-4,
    epoch_steps=50,
    evaluate_every=1,
    patience=3,
    epochs=3,
    folds=2,
    fold_rule="hashed",
    trials=3,
    search="tpe",
    repetitions=5,
)
