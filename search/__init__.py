"""The search: space files, proposals, the ledger of trials, and their execution."""
