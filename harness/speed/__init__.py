"""What this machine does, each figure beside its limit, measured in one run.

One file a question: `evaluation` (embeddings to metrics), `pipeline` (stored images to batches), `training` (steps a
second), `steps` (what an objective costs), `overhead` (what a campaign takes beside its trainings). `rounds` is how
they measure.
"""
