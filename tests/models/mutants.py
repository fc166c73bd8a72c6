"""Known wrong versions of the blocks. Each keeps every shape, so only numbers can tell.

`MUTATIONS` is the one list: `test_mutations.py` holds every entry to what it says of who notices,
and `mutation_table.py` makes a table of it. A new block's wrong versions go into a file
`mutants_<name>.py` that is added here.
"""

import mutants_bat
import mutants_bottleneck
import mutants_bridge
import mutants_cbam
import mutants_channels
import mutants_context
import mutants_filters
import mutants_nonlocal
import mutants_positions
from mutants_base import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    *mutants_bat.MUTATIONS,
    *mutants_bottleneck.MUTATIONS,
    *mutants_bridge.MUTATIONS,
    *mutants_cbam.MUTATIONS,
    *mutants_channels.MUTATIONS,
    *mutants_context.MUTATIONS,
    *mutants_filters.MUTATIONS,
    *mutants_nonlocal.MUTATIONS,
    *mutants_positions.MUTATIONS,
)

UNOBSERVABLE: tuple[Mutation, ...] = (
    *mutants_bat.UNOBSERVABLE,
    *mutants_context.UNOBSERVABLE,
    *mutants_nonlocal.UNOBSERVABLE,
)
"""Other ways to compute the same function: nothing can notice them, and nothing need."""
