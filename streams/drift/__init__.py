"""Drift: whether users, items or the accuracy of what is recommended changed, and when to train again."""
