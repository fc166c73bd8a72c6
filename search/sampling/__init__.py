"""How the next candidate is chosen where costs are known and accuracy must be bought."""
