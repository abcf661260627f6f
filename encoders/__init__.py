"""Towers, text encoding, data sets, training, evaluation and the ONNX runtime. Knows no Kafka and no Qdrant."""
