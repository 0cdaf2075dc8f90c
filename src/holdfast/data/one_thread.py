"""Small work stays on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, NumPy and scikit-learn take one thread each, and as many as before afterwards. Also a decorator.

    Threads of OpenMP meet thousands of times while a small forest grows, and spin until the last one is there. Where
    other programs have the cores, the last one waits for its turn: cross-validating 6,000 rows took 114 s instead of
    4 s, and 20 times the work, on two cores with six other processes.
    """
    import sklearn.ensemble  # noqa: F401  # its threads can be held once it is there
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
