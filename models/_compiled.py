"""How a loop over pixels is compiled: one place for every kernel of models and pipeline.

A kernel gives what its plain numpy specification in `tests/specification` gives; tests hold it to that. The
compiled code is kept beside the module. Numba notices a change of the kernel's own module only, so a kernel calls
none of another module.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a function when it is first called, keep the code on disk, and let other threads run meanwhile.

    Arithmetic is IEEE, in the order written: results do not depend on the processor.
    """
    return cast("Kernel", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
