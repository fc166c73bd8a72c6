"""ResNet-101."""

from models.residual_block import BOTTLENECK
from models.residual_network import ResidualNetwork


class ResNet101(ResidualNetwork):
    """3, 4, 23 and 3 bottleneck blocks. He et al., CVPR 2016, arXiv:1512.03385, table 1.

    With the `imagenet` stem, width 1 and 1000 classes it has 44,549,160 trained parameters. The
    stride is in the 3×3 convolution, as in Paddle's network and the paper's successors ("v1.5").
    """

    kind = BOTTLENECK
    depths = (3, 4, 23, 3)
