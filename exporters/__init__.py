"""What leaves: ONNX graphs, the model store, vectors to Qdrant, recommendations to Kafka, metrics."""
