"""What an intrain trainer feeds to a model, and in which order: the same batches for PyTorch.

`order` and `augmentation` repeat the definitions of runtime/host/pipeline.h from Philox itself (the
test cli.pipeline compares them with the C code); `batches` puts both together. Seed and epoch (0 is
the first) are the trainer's.

    for x, y in batches(images, labels, seed=0, epoch=e, batch=128, pad=4, flip=True):
        x = (x / 255 - mean) / std          # uint8 [n,C,H,W], zeros where a crop leaves the image

Run as a program it prints what the test compares:

    python bench/pipeline.py cifar10 FILE SEED EPOCHS BATCH PAD FLIP >bytes
"""
import sys

import numpy as np

SHUFFLE, AUGMENT = 0xFFFFF000, 0xFFFFF100


def philox(index, epoch, last, seed):
    """The four words of each index: Philox4x32-10, counter (index, epoch, index >> 32, last)."""
    low32, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    index = np.asarray(index, np.uint64)
    c0, c1 = index & low32, np.full_like(index, epoch & 0xFFFFFFFF)
    c2, c3 = index >> shift, np.full_like(index, last)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ np.uint64(k0), p1 & low32, (p0 >> shift) ^ c3 ^ np.uint64(k1), p0 & low32
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return c0, c1, c2, c3


def place(i, epoch, seed):
    """Uniform in [0, i]: the first 64-bit word below the largest multiple of i + 1."""
    n, number = i + 1, 0
    while True:
        w = [int(v) for v in philox([i], epoch, SHUFFLE | number, seed)]
        for word in (w[1] << 32 | w[0], w[3] << 32 | w[2]):
            if word < 2**64 - 2**64 % n:
                return word % n
        number += 1


def order(rows, seed, epoch):
    """The row numbers of the data set in the order of an epoch (shuffle=1)."""
    i = np.arange(rows)
    w0, w1, _, _ = philox(i, epoch, SHUFFLE, seed)
    word = w1 << np.uint64(32) | w0
    j = word % (i + 1).astype(np.uint64)
    for k in np.nonzero(word >= np.uint64(2**64 - rows))[0]:  # perhaps beyond the multiple: rare
        j[k] = place(int(k), epoch, seed)
    to, j = list(range(rows)), j.tolist()
    for k in range(rows - 1, 0, -1):
        to[k], to[j[k]] = to[j[k]], to[k]
    return np.array(to)


def augmentation(row, seed, epoch, pad):
    """(dx, dy, mirrored) of rows of the data set: pixel (y, x) of the crop is (y + dy, x + dx)."""
    w0, w1, w2, _ = philox(row, epoch, AUGMENT, seed)
    places = np.uint64(2 * pad + 1)
    shift = [(w * places >> np.uint64(32)).astype(np.int64) - pad for w in (w0, w1)]
    return shift[0], shift[1], w2 >> np.uint64(31) == 1


def augmented(images, rows, seed, epoch, pad, flip):
    """images[rows], [n,C,H,W]: padded with raw zeros, cropped, then mirrored left to right."""
    height, width = images.shape[2:]
    padded = np.pad(images[rows], ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.empty_like(images[rows])
    for k, (dx, dy, mirrored) in enumerate(zip(*augmentation(rows, seed, epoch, pad))):
        crop = padded[k, :, pad + dy:pad + dy + height, pad + dx:pad + dx + width]
        out[k] = crop[:, :, ::-1] if flip and mirrored else crop
    return out


def batches(images, labels, seed, epoch, batch, pad=0, flip=False, shuffle=True):
    """The steps of an epoch: (images, labels), the last one as short as it is."""
    to = order(len(images), seed, epoch) if shuffle else np.arange(len(images))
    for k in range(0, len(to), batch):
        rows = to[k:k + batch]
        yield (augmented(images, rows, seed, epoch, pad, flip) if pad or flip else images[rows]), labels[rows]


def cifar10(path):
    """(images uint8 [n,3,32,32], labels) of a binary file."""
    a = np.fromfile(path, np.uint8).reshape(-1, 3073)
    return a[:, 1:].reshape(-1, 3, 32, 32), a[:, 0].astype(np.int64)


def main():
    images, labels = cifar10(sys.argv[2])
    seed, epochs, batch, pad, flip = (int(v) for v in sys.argv[3:8])
    for epoch in range(epochs):
        for x, y in batches(images, labels, seed, epoch, batch, pad, flip != 0):
            sys.stdout.buffer.write(y.astype("<i4").tobytes() + np.ascontiguousarray(x).tobytes())


if __name__ == "__main__":
    main()
