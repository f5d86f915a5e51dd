"""Evaluation: metrics, oracle masks and report cards (extra `eval`)."""
