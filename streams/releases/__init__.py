"""Which model serves: releases are published, read by every worker, loaded beside the old model, swapped."""
