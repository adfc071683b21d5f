"""torchvision's ResNet18 (He et al. 2015) with ten outputs: 11,181,642 parameters."""

from __future__ import annotations

from torch import Tensor, nn

from vidclf.errors import VidclfError


class ResNet18(nn.Module):
    """torchvision's network unchanged, including its 7x7 stem of stride 2; grey is repeated to its three channels.

    pretrained: start with torchvision's ImageNet weights (except the last layer), which are downloaded into torch's
    cache if they are not there yet; raises VidclfError if that fails.
    """

    def __init__(self, classes: int = 10, channels: int = 1, size: int = 28, pretrained: bool = False) -> None:
        super().__init__()
        from torchvision.models import resnet18

        self.network = resnet18(weights=None)
        if pretrained:
            self.network.load_state_dict(imagenet_weights())
        self.network.fc = nn.Linear(self.network.fc.in_features, classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == 3:
            x = x.flip(1)  # crops are BGR, ImageNet's weights are for RGB
        return self.network(x.expand(-1, 3, -1, -1))


def imagenet_weights() -> dict[str, Tensor]:
    """torchvision's tensors, from torch's cache or the network; see `ResNet18`."""
    import torch
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.IMAGENET1K_V1
    try:
        tensors: dict[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a wrong checksum
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise VidclfError(
            f"the ImageNet weights of resnet18 cannot be downloaded ({error}): put {weights.url} into {folder}"
        ) from error
    return tensors
