"""Small convolutional networks of many designs, for exported.py: odd sizes, unusual attributes.

Each is a network as people write them, cut down to a few thousand parameters. NETS has for each name
its constructor, the shape of a sample, and whether it tells classes apart (else it paints an image).
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES = 4


def conv(cin, cout, kernel=3, stride=1, groups=1, act=nn.ReLU, **k):
    padding = k.pop("padding", kernel // 2)
    body = [nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups, bias=False, **k), nn.BatchNorm2d(cout)]
    return nn.Sequential(*body, *([act()] if act else []))


def head(channels):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


class Branches(nn.Module):
    """Szegedy et al., Inception: joined along the channels."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([b(x) for b in self.branches], 1)


class Plus(nn.Module):
    """body(x) + short(x)."""

    def __init__(self, body, short=None, after=None):
        super().__init__()
        self.body, self.short, self.after = body, short or nn.Identity(), after or nn.Identity()

    def forward(self, x):
        return self.after(self.body(x) + self.short(x))


class Excite(nn.Module):
    """Hu et al.: channels weighed by what a small network says of their means."""

    def __init__(self, c, inner, act, gate, linear=False):
        super().__init__()
        self.linear, self.act, self.gate = linear, act(), gate()
        layer = nn.Linear if linear else lambda a, b: nn.Conv2d(a, b, 1)
        self.down, self.up = layer(c, inner), layer(inner, c)

    def forward(self, x):
        s = x.mean((2, 3)) if self.linear else F.adaptive_avg_pool2d(x, 1)
        s = self.gate(self.up(self.act(self.down(s))))
        return x * (s[:, :, None, None] if self.linear else s)


class Shuffle(nn.Module):
    """Zhang et al., ShuffleNet: channels of all groups into each."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class HalfShuffle(nn.Module):
    """ShuffleNet V2: one half goes on as it is."""

    def __init__(self, c):
        super().__init__()
        c //= 2
        self.body = nn.Sequential(conv(c, c, 1), conv(c, c, 3, groups=c, act=None), conv(c, c, 1))
        self.shuffle = Shuffle(2)

    def forward(self, x):
        a, b = x.chunk(2, 1)
        return self.shuffle(torch.cat([a, self.body(b)], 1))


class Dense(nn.Module):
    """Huang et al., DenseNet: each layer sees all before it."""

    def __init__(self, cin, growth, layers):
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(cin + i * growth), nn.ReLU(),
                                                  nn.Conv2d(cin + i * growth, growth, 3, padding=1, bias=False))
                                    for i in range(layers))

    def forward(self, x):
        seen = [x]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        return torch.cat(seen, 1)


class UNet(nn.Module):
    """Ronneberger et al., with odd sizes: what comes up is padded to what it joins."""

    def __init__(self, up):
        super().__init__()
        self.a, self.b, self.c = conv(3, 6), conv(6, 10), conv(10, 12)
        self.up = nn.ConvTranspose2d(12, 10, 2, 2) if up == "transposed" else None
        self.mode = up
        self.d, self.e, self.out = conv(10 + (10 if self.up else 12), 8), conv(8 + 6, 6), nn.Conv2d(6, 2, 1)

    def rise(self, x, to):
        if self.mode == "transposed" and self.up.in_channels == x.shape[1]:
            x = self.up(x)
            return F.pad(x, (0, to.shape[3] - x.shape[3], 0, to.shape[2] - x.shape[2]))  # less than 0 cuts off
        return F.interpolate(x, size=to.shape[2:], mode="bilinear", align_corners=self.mode == "corners")

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.avg_pool2d(b, 2, ceil_mode=True, count_include_pad=False))
        d = self.d(torch.cat([self.rise(c, b), b], 1))
        return self.out(self.e(torch.cat([self.rise(d, a), a], 1)))


class Pyramid(nn.Module):
    """Lin et al., FPN: nearest neighbours upwards, sums across."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv(3, 6), conv(6, 8, stride=2), conv(8, 12, stride=2)
        self.la, self.lb, self.lc = nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(12, 8, 1)
        self.out = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        c = self.c(b)
        t = self.lb(b) + F.interpolate(self.lc(c), size=b.shape[2:], mode="nearest")
        return self.out(self.la(a) + F.interpolate(t, scale_factor=2, mode="nearest"))


class Atrous(nn.Module):
    """Chen et al., DeepLab: dilations side by side, and the mean of the whole image."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8, stride=2)
        self.rates = nn.ModuleList([conv(8, 4, 1), conv(8, 4, dilation=2, padding=2), conv(8, 4, dilation=3, padding=3)])
        self.pool, self.out = conv(8, 4, 1), nn.Conv2d(16, 2, 1)

    def forward(self, x):
        y = self.stem(x)
        mean = F.interpolate(self.pool(F.adaptive_avg_pool2d(y, 1)), size=y.shape[2:], mode="bilinear")
        y = torch.cat([*(r(y) for r in self.rates), mean], 1)
        return F.interpolate(self.out(y), size=x.shape[2:], mode="bilinear", align_corners=False)


class Attend(nn.Module):
    """Woo et al., CBAM: maxima and means, over pixels and over channels."""

    def __init__(self, c):
        super().__init__()
        self.down, self.up, self.place = nn.Conv2d(c, c // 2, 1), nn.Conv2d(c // 2, c, 1), nn.Conv2d(2, 1, 5, padding=2)

    def forward(self, x):
        s = sum(self.up(F.relu(self.down(f(x, 1)))) for f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d))
        x = x * torch.sigmoid(s)
        return x * torch.sigmoid(self.place(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


class Select(nn.Module):
    """Li et al., SKNet: softmax chooses between two kernels, channel by channel."""

    def __init__(self, c):
        super().__init__()
        self.a, self.b = conv(c, c, 3, groups=2), conv(c, c, 3, dilation=2, padding=2, groups=2)
        self.down, self.up = nn.Linear(c, 4), nn.Linear(4, 2 * c)

    def forward(self, x):
        both = torch.stack([self.a(x), self.b(x)], 1)
        s = both.sum(1).mean((2, 3))
        s = self.up(F.relu(self.down(s))).view(-1, 2, both.shape[2]).softmax(1)
        return (both * s[..., None, None]).sum(1)


class Warp(nn.Module):
    """Jaderberg et al., spatial transformer: x at coordinates that a small network chooses."""

    def __init__(self, c, padding):
        super().__init__()
        self.choose = nn.Sequential(nn.Conv2d(c, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6))
        self.padding = padding
        nn.init.normal_(self.choose[-1].weight, std=0.1)
        with torch.no_grad():
            self.choose[-1].bias.copy_(torch.tensor([0.9, 0.1, 0.05, -0.1, 0.8, 0.1]))
        v, u = torch.meshgrid(torch.linspace(-1, 1, 11), torch.linspace(-1, 1, 9), indexing="ij")
        self.register_buffer("base", torch.stack([u, v, torch.ones_like(u)], -1).reshape(-1, 3), persistent=False)

    def forward(self, x):
        grid = (self.base @ self.choose(x).reshape(-1, 2, 3).transpose(1, 2)).reshape(-1, 11, 9, 2)
        return F.grid_sample(x, grid, padding_mode=self.padding, align_corners=False)


class Volume(nn.Module):
    """Cicek et al., a U-Net over three axes."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU())
        self.b = nn.Sequential(nn.MaxPool3d(2), nn.Conv3d(6, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU())
        self.up, self.c = nn.ConvTranspose3d(8, 6, 2, 2), nn.Conv3d(12, 2, 3, padding=1)

    def forward(self, x):
        x = self.a(x)
        return self.c(torch.cat([x, self.up(self.b(x))], 1))


def mbconv(cin, cout, wide, kernel, stride, act, gate):
    """Sandler, Tan et al.: expand, filter each channel, excite, project."""
    body = nn.Sequential(conv(cin, wide, 1, act=act), conv(wide, wide, kernel, stride, wide, act=act),
                         Excite(wide, 4, nn.ReLU if gate is nn.Hardsigmoid else act, gate), conv(wide, cout, 1, act=None))
    return Plus(body) if cin == cout and stride == 1 else body


def fire(cin, squeeze, expand):
    """Iandola et al., SqueezeNet."""
    relu = nn.ReLU
    return nn.Sequential(nn.Conv2d(cin, squeeze, 1), relu(), Branches(
        nn.Sequential(nn.Conv2d(squeeze, expand, 1), relu()), nn.Sequential(nn.Conv2d(squeeze, expand, 3, padding=1), relu())))


def inception():
    pool = nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv(8, 3, 1))
    mixed = Branches(conv(8, 3, 1), nn.Sequential(conv(8, 3, 1), conv(3, 5, 5)), pool,
                     nn.Sequential(conv(8, 3, 1), nn.Conv2d(3, 4, (1, 3), padding=(0, 1)), nn.Conv2d(4, 4, (3, 1), padding=(1, 0))))
    lower = Branches(conv(15, 4, 3, 2, padding=0), nn.MaxPool2d(3, 2))
    return nn.Sequential(conv(3, 8), mixed, lower, *head(19))


def resnext():
    bottle = nn.Sequential(conv(12, 8, 1), conv(8, 8, 3, 2, 4), conv(8, 16, 1, act=None))
    short = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), conv(12, 16, 1, act=None))  # ResNet-D
    return nn.Sequential(conv(3, 12), Plus(bottle, short, nn.ReLU()), nn.MaxPool2d(3, 2, 1), *head(16))


def preact():
    def block(c, d):
        return Plus(nn.Sequential(nn.BatchNorm2d(c), nn.PReLU(c), nn.Conv2d(c, c, 3, padding=d, dilation=d, groups=c // 2),
                                  nn.BatchNorm2d(c), nn.PReLU(c), nn.Conv2d(c, c, 1)))
    return nn.Sequential(nn.Conv2d(3, 8, 3), block(8, 1), block(8, 2), nn.BatchNorm2d(8), nn.PReLU(), *head(8))


def squeezenet():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), fire(8, 4, 6), fire(12, 4, 8),
                         nn.Conv2d(16, CLASSES, 1), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())


def alexnet():
    return nn.Sequential(nn.ZeroPad2d((2, 1, 0, 3)), nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.LocalResponseNorm(5, 1e-2, 0.75, 2.0),
                         nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 3, padding=1, groups=2), nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True),
                         nn.Flatten(), nn.Linear(108, 24), nn.ReLU(), nn.Linear(24, CLASSES))


def tensorflow_like():
    """Strides with "same" borders: a pixel more below and on the right."""
    def same(cin, cout, act):
        return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv(cin, cin, 3, 2, cin, act=act, padding=0), conv(cin, cout, 1, act=act))
    return nn.Sequential(nn.ConstantPad2d((0, 1, 1, 2), -0.25), conv(3, 8, 3, padding=0, act=nn.ReLU6), same(8, 12, nn.ReLU6),
                         same(12, 16, nn.LeakyReLU), *head(16))


def shufflenet():
    unit = nn.Sequential(conv(12, 12, 1, groups=3), Shuffle(3), conv(12, 12, 3, groups=12, act=None), conv(12, 12, 1, groups=3, act=None))
    down = Branches(nn.AvgPool2d(3, 2, 1), nn.Sequential(conv(12, 6, 1, groups=3), Shuffle(3), conv(6, 6, 3, 2, 6, act=None)))
    return nn.Sequential(conv(3, 12), Plus(unit, None, nn.ReLU()), down, nn.ReLU(), HalfShuffle(18), *head(18))


def densenet():
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), Dense(6, 4, 3), conv(18, 8, 1), nn.AvgPool2d(2), Dense(8, 4, 2),
                         nn.BatchNorm2d(16), nn.ReLU(), *head(16))


def mobilenetv3():
    h = nn.Hardswish
    return nn.Sequential(conv(3, 8, 3, 2, act=h), mbconv(8, 8, 16, 3, 1, nn.ReLU, nn.Hardsigmoid), mbconv(8, 12, 24, 5, 2, h, nn.Hardsigmoid),
                         conv(12, 16, 1, act=h), nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), h(), nn.Flatten(), nn.Linear(16, CLASSES))


def efficientnet():
    s = nn.SiLU
    return nn.Sequential(conv(3, 8, 3, 2, act=s), mbconv(8, 8, 16, 3, 1, s, nn.Sigmoid), mbconv(8, 12, 24, 5, 2, s, nn.Sigmoid),
                         Excite(12, 3, s, nn.Sigmoid, True), *head(12))


def normalised():
    """Each other normalisation once."""
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.SiLU(), nn.Conv2d(8, 12, 3, 2, groups=4),
                         nn.InstanceNorm2d(12, affine=True), nn.ELU(), nn.Conv2d(12, 12, 3, padding=1), nn.GroupNorm(1, 12), nn.GELU(),
                         nn.Conv2d(12, 12, 1), nn.InstanceNorm2d(12), nn.Mish(), *head(12))


def vgg_ceil():
    return nn.Sequential(conv(3, 8), conv(8, 8), nn.MaxPool2d(2, ceil_mode=True), conv(8, 12), nn.MaxPool2d(3, 2, 1, ceil_mode=True),
                         nn.AvgPool2d((2, 3), (1, 2), (1, 1), ceil_mode=True, count_include_pad=False), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
                         nn.Linear(12, CLASSES))


def autoencoder():
    return nn.Sequential(conv(3, 8, 3, 2), nn.Conv2d(8, 12, 3, 2, 1), nn.PReLU(12), nn.ConvTranspose2d(12, 8, 3, 2, 1, output_padding=1),
                         nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 8, (4, 3), 2, (1, 1), (0, 0), groups=4), nn.LeakyReLU(0.1),
                         nn.ConvTranspose2d(8, 2, 3, dilation=2, padding=1), nn.Sigmoid())


def superresolution():
    r = Plus(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), nn.PReLU(8), nn.Conv2d(8, 8, 3, padding=1)))
    return nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.PReLU(), r, nn.Conv2d(8, 18, 3, padding=1), nn.PixelShuffle(3), nn.Tanh())


ODD = (3, 15, 13)
NETS = {
    "inception": (inception, ODD, True), "resnext-d": (resnext, ODD, True), "preactivation": (preact, ODD, True),
    "squeezenet": (squeezenet, (3, 23, 21), True), "alexnet": (alexnet, (3, 27, 22), True),
    "same borders": (tensorflow_like, ODD, True), "shufflenet": (shufflenet, ODD, True), "densenet": (densenet, ODD, True),
    "mobilenetv3": (mobilenetv3, ODD, True), "efficientnet": (efficientnet, ODD, True), "other norms": (normalised, ODD, True),
    "vgg, ceil": (vgg_ceil, ODD, True), "cbam": (lambda: nn.Sequential(conv(3, 8), Attend(8), conv(8, 12, 3, 2), *head(12)), ODD, True),
    "sknet": (lambda: nn.Sequential(conv(3, 8), Select(8), conv(8, 12, 3, 2), *head(12)), ODD, True),
    "u-net, transposed": (lambda: UNet("transposed"), ODD, False), "u-net, bilinear": (lambda: UNet("bilinear"), ODD, False),
    "u-net, volume": (Volume, (1, 6, 8, 4), False),
    "warp, zeros": (lambda: nn.Sequential(conv(3, 6), Warp(6, "zeros"), conv(6, 8, 3, 2), *head(8)), ODD, True),
    "warp, border": (lambda: nn.Sequential(conv(3, 6), Warp(6, "border"), conv(6, 8, 3, 2), *head(8)), ODD, True),
    "u-net, corners": (lambda: UNet("corners"), ODD, False), "pyramid": (Pyramid, (3, 14, 10), False), "deeplab": (Atrous, ODD, False),
    "autoencoder": (autoencoder, ODD, False), "superresolution": (superresolution, (3, 9, 7), False),
}
