"""Measurements behind the figures of docs/performance.md; each script prints its ratio last."""
