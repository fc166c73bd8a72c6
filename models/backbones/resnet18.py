"""ResNet-18."""

from models.residual_block import BASIC
from models.residual_network import ResidualNetwork


class ResNet18(ResidualNetwork):
    """Two basic blocks in each of four stages. He et al., CVPR 2016, arXiv:1512.03385, table 1.

    With the `cifar` stem, width 1 and 10 classes it has 11,183,562 parameters in `paddle.summary`'s
    way, and with the `imagenet` stem and 1000 classes 11,689,512 trained ones.
    """

    kind = BASIC
    depths = (2, 2, 2, 2)
