"""Towers, text encoding, data sets, training, evaluation, ONNX runtime. Knows no Kafka and no Qdrant."""
