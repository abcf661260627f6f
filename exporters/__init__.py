"""What leaves: ONNX graphs and the model store, vectors to Qdrant, recommendations to Kafka, metrics to Prometheus."""
