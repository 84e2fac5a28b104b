"""An entry's embedder for use elsewhere: weights, a program for torch alone, ONNX, preprocessing, and a card."""
