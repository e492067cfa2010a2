"""One thread for SimpleITK's sums, so that results are the same bits on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk


@contextmanager
def one_thread() -> Iterator[None]:
    """Let SimpleITK's filters use one thread meanwhile: sums by several differ in their last digits.

    A filter's own number of threads doesn't reach the filters inside it, so the process's number is set, and
    put back.
    """
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
