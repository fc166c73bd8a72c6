"""ResNet-34."""

from models.residual_block import BASIC
from models.residual_network import ResidualNetwork


class ResNet34(ResidualNetwork):
    """3, 4, 6 and 3 basic blocks. He et al., CVPR 2016, arXiv:1512.03385, table 1.

    With the `imagenet` stem, width 1 and 1000 classes it has 21,797,672 trained parameters.
    """

    kind = BASIC
    depths = (3, 4, 6, 3)
