"""Images as NumPy arrays: where they come from, their splits, their batches."""
