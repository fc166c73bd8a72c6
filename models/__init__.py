"""Networks: architectures as values, the layers they are built of, and what these cost."""

import warnings

# Paddle warns at import that C++ extensions would compile slower; nothing is compiled here.
warnings.filterwarnings("ignore", message="No ccache found", category=UserWarning)
# And at every call of a batch norm in training mode, that it does what it is there for.
warnings.filterwarnings("ignore", message="When training, we now always track", module="paddle")
