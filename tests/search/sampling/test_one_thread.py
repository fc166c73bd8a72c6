"""That the linear algebra has one thread while it is asked to, and what it had thereafter."""

import numpy as np
import pytest
from scipy.linalg import cholesky
from threadpoolctl import threadpool_info, threadpool_limits

from search.sampling.one_thread import one_thread


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


def test_every_library_has_one_thread_within_and_those_it_had_without() -> None:
    cholesky(np.eye(3))
    with threadpool_limits(2):
        before = threads()
        with one_thread():
            assert threads() == {1}
        assert threads() == before


def test_an_error_gives_the_threads_back() -> None:
    with threadpool_limits(2):
        before = threads()
        with pytest.raises(ValueError, match="within"), one_thread():
            raise ValueError("within")
        assert threads() == before
