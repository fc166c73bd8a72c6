"""A study as Optuna's dashboard shows it: what is written for it alone, and how it is opened."""
