"""Training: data as arrays, one candidate from build to validation accuracy, latency."""
