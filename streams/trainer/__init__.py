"""The trainer's process: training requests in, new versions of a model, judged by the gate, out."""
