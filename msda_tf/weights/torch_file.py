"""Reading Torch's `.pth` files."""

import pathlib
import pickle

import numpy as np

from msda_tf.errors import MsdaError, UsageError

# Where training scripts put the weights inside what they save.
_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict by their full names, floating-point ones as float32.

    The file is never executed: it is read with `weights_only=True`.

    Raises:
      UsageError: Torch is not installed, or the file holds no state dict.
      MsdaError: the file is damaged or holds Python objects.
    """
    try:
        import torch
    except ImportError:
        raise UsageError(f"{path}: reading Torch files needs Torch: pip install 'msda-tf[torch]'") from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "global" in str(error).lower():
            raise MsdaError(
                f"{path} holds Python objects beside its tensors, and running them is not safe: in Torch, save "
                "model.state_dict() alone"
            ) from None
        raise MsdaError(f"{path} is damaged or no Torch file: get it again") from None
    except (RuntimeError, EOFError, LookupError, ValueError, AttributeError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise MsdaError(f"{path} is damaged or no Torch file ({reason}): get it again") from None
    for _ in _WRAPPERS:
        content = next((content[name] for name in _WRAPPERS if isinstance(content, dict) and name in content), content)
    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise UsageError(f"{path} holds no state dict but a {type(content).__name__}: save model.state_dict()")
    tensors = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    return {name: (t.float() if t.is_floating_point() else t).numpy() for name, t in tensors.items()}
